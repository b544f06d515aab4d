//! Any text as TOML and as JSON: no panic, no exhausted stack, and every problem can be shown.
//!
//! The first line `include` splits the text into a main file and an included one.

use config::load::{Main, Text, finish};

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
        let main = Main::read(part(name, main));
        let _ = main.includes(&environment);
        let loaded = main.load(vec![part("other.toml", included)], &environment);
        if let Err(problems) = finish(loaded, |_| Ok(())) {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}
