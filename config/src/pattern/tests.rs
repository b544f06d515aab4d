//! Wildcards as an ALB knows them, expressions, and what is refused.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, value: &str, expect: bool) {
    let wildcard = Wildcard::new(pattern, Case::Sensitive).unwrap();
    assert_eq!(
        wildcard.matches(value.as_bytes()),
        expect,
        "{pattern} {value:?}"
    );
}

#[test]
fn wildcards_match_the_whole_value() {
    for (pattern, value, expect) in [
        ("a", "a", true),
        ("a", "", false),
        ("a", "aa", false),
        ("a", "A", false),
        ("?", "a", true),
        ("?", "", false),
        ("?", "ab", false),
        ("*", "", true),
        ("*", "anything", true),
        ("**", "", true),
        ("*?", "", false),
        ("?*", "a", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*a", "ab", false),
        ("a*b", "ab", true),
        ("a*b", "axxb", true),
        ("a*b", "axxbc", false),
        ("a*b*c", "abbbcbc", true),
        ("a*b*c", "acb", false),
        ("*ab*ab", "abab", true),
        ("*ab*ab", "aab", false),
        ("*aab", "aaaab", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a?*c", "ac", false),
        ("/img/*/pics", "/img/a/b/pics", true),
        ("/img/*/pics", "/img/pics", false),
        ("\\*", "\\xyz", true),
        ("\\*", "*", false),
    ] {
        check(pattern, value, expect);
    }
}

#[test]
fn control_bytes_are_left_out() {
    check("ab", "a\tb", true);
    check("ab", "\0ab\x7f", true);
    check("a?b", "a\tb", false);
    check("*", "\t", true);
    check("?", "\t", false);
    let regex = expression("^ab$", Case::Sensitive).unwrap();
    assert!(Pattern::Regex(regex).matches(b"\x01a\tb\x1f"));
}

#[test]
fn escapes_make_wildcards_literal_where_they_are_known() {
    let check = |pattern: &str, value: &str| {
        let wildcard = Wildcard::with_escapes(pattern, Case::Insensitive).unwrap();
        wildcard.matches(value.as_bytes())
    };
    assert!(check(r"a\*b", "A*B"));
    assert!(!check(r"a\*b", "axb"));
    assert!(check(r"a\?", "a?"));
    assert!(!check(r"a\?", "ab"));
    assert!(check(r"\\*", r"\anything"));
    for bad in [r"\", r"a\", r"\a"] {
        assert!(
            Wildcard::with_escapes(bad, Case::Sensitive).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn what_cannot_match_or_is_too_large_is_refused() {
    #[track_caller]
    fn check(text: &str, expect: &str) {
        let refused = Wildcard::new(text, Case::Sensitive).unwrap_err();
        assert_eq!(refused, expect);
    }
    check("", "the text is empty; `*` matches any text, also none");
    check(
        &"a".repeat(4097),
        "the text is 4097 bytes long; allowed are 4096",
    );
    check(
        "a\tb",
        "the text contains a control character, which is never compared",
    );
    let refused = |text: &str| expression(text, Case::Sensitive).unwrap_err();
    assert_eq!(
        refused("a("),
        "`a(` is not a regular expression: unclosed group"
    );
    assert!(
        refused("(?=a)").contains("look-around"),
        "{}",
        refused("(?=a)")
    );
    assert!(refused(r"(((\w{100}){100}){100})").contains("exceeds size limit"));
    assert!(refused(&"a".repeat(4097)).contains("allowed are 4096"));
}

#[test]
fn plain_texts_and_suffixes_are_known_to_be_such() {
    let parts = |text| {
        let wildcard = Wildcard::new(text, Case::Insensitive).unwrap();
        (wildcard.literal(), wildcard.suffix())
    };
    assert_eq!(parts("A.example"), (Some("a.example".into()), None));
    assert_eq!(parts("*.Example"), (None, Some("example".into())));
    assert_eq!(parts("*example"), (None, None));
    assert_eq!(parts("*.a*"), (None, None));
}

/// The definition: a star takes nothing or one more byte.
fn defined(pattern: &[u8], value: &[u8]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', left)), rest) => {
            defined(left, value) || rest.is_some_and(|(_, rest)| defined(pattern, rest))
        }
        (Some((b'?', left)), Some((_, rest))) => defined(left, rest),
        (Some((byte, left)), Some((first, rest))) => byte == first && defined(left, rest),
        (Some(_), None) => false,
    }
}

proptest! {
    #[test]
    fn wildcards_match_as_defined(pattern in "[ab*?]{1,8}", value in "[ab]{0,10}") {
        let wildcard = Wildcard::new(&pattern, Case::Sensitive).unwrap();
        prop_assert_eq!(
            wildcard.matches(value.as_bytes()),
            defined(pattern.as_bytes(), value.as_bytes())
        );
    }
}
