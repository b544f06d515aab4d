//! Paths and their readings.

use proptest::prelude::*;

use super::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn check(raw: &str, usual: &str, others: &[&str]) {
    let path = Path::read(raw);
    assert_eq!(text(path.usual()), usual, "{raw}");
    assert_eq!(path.others().map(text).collect::<Vec<_>>(), others, "{raw}");
}

#[test]
fn a_plain_path_is_compared_as_it_came_and_copied_nowhere() {
    for raw in ["/", "/a/b.c/d", "/a..b/...", "*", "/日本", "/a;b=c/~d"] {
        check(raw, raw, &[]);
        assert!(matches!(Path::read(raw).usual, Cow::Borrowed(_)) || raw.contains("/."));
    }
}

#[test]
fn what_every_target_reads_alike_is_compared_alike() {
    for raw in [
        "/./admin",
        "//admin",
        "/x/../admin",
        "/%61dmin",
        "/%2e/admin",
        "/x/%2E%2e/admin",
        "/../admin",
        "/.//admin",
    ] {
        check(raw, "/admin", &[]);
    }
    check("/admin/.", "/admin/", &[]);
    check("/admin/x/..", "/admin/", &[]);
    check("/..", "/", &[]);
    check("/a%20b/%40me/%E6%97%A5", "/a b/@me/日", &[]);
    check("/50%/%zz/%4", "/50%/%zz/%4", &[]);
    check("/%252e%252e/x", "/%2e%2e/x", &[]);
}

#[test]
fn what_targets_read_differently_has_each_reading() {
    check("/a%2fb", "/a%2Fb", &["/a/b"]);
    check("/a%5Cb", "/a%5Cb", &["/a/b"]);
    check("/a\\b", "/a\\b", &["/a/b"]);
    check(
        "/pub/x%2F..%2F..%2Fadmin",
        "/pub/x%2F..%2F..%2Fadmin",
        &["/admin"],
    );
    check("/a//../b", "/b", &["/a/b"]);
    check("/admin%00.css", "/admin\0.css", &["/admin"]);
}

#[test]
fn a_text_to_compare_with_is_read_as_a_path_is() {
    let spelled = |text| {
        bytes_of(text)
            .unwrap()
            .into_iter()
            .map(|(byte, _)| byte)
            .collect::<Vec<_>>()
    };
    assert_eq!(text(&spelled("/a//b%20%e6%97%a5*")), "/a/b 日*");
    assert_eq!(bytes_of("%2A*").unwrap(), [(b'*', true), (b'*', false)]);
    for bad in [
        "/a/../b", "/./a", "/a/.", "/%00", "/a%0Ab", "/a%2fb", "/a%5C",
    ] {
        assert!(bytes_of(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_reading_read_again_stays(raw in "(/|[.]|%2e|%2F|a|\\\\){0,12}") {
        let raw = format!("/{raw}");
        let once = text(Path::read(&raw).usual());
        // Only `%` could begin an escape anew, and none is spelled here but separators.
        prop_assert_eq!(&text(Path::read(&once).usual()), &once);
        prop_assert!(!once.contains("//") && !once.contains("/./") && !once.contains("/../"));
    }

    #[test]
    fn no_path_panics(raw in "/[ -~]{0,40}") {
        Path::read(&raw);
    }
}
