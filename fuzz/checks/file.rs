//! Any text as TOML and as JSON: no panic, no exhausted stack, and every problem can be shown.
//!
//! The first line `include` splits the text into a main file and an included one.

use config::load::{Text, finish, includes, load};

/// Checks one input; what is no text is no file.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (main, included) = text.split_once("\ninclude\n").unwrap_or((text, ""));
    for name in ["k.toml", "k.json"] {
        let part = |name: &str, text: &str| Text {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let environment = |name: &str| name.len().is_multiple_of(2).then(|| name.to_owned());
        let _ = includes(&part(name, main), &environment);
        let others = vec![part("other.toml", included)];
        let loaded = load(part(name, main), others, &environment);
        if let Err(problems) = finish(loaded, |_| Ok(())) {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}
