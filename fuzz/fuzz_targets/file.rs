//! Any text is read as TOML and as JSON: no panic, no exhausted stack, and every problem can be shown.
//!
//! The first line `include` splits the text into a main file and an included one.
#![no_main]

use config::load::{Text, finish, includes, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (main, included) = text.split_once("\ninclude\n").unwrap_or((text, ""));
    for name in ["k.toml", "k.json"] {
        let part = |name: &str, text: &str| Text {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let environment = |name: &str| (name.len() % 2 == 0).then(|| name.to_owned());
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
});
