//! The scenarios that come with the program.

use crate::load::Text;

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// What it is called on the command line.
    pub name: &'static str,
    text: &'static str,
}

/// All of them, in the order in which one should look at them.
pub const SHIPPED: &[Shipped] = &[
    shipped("healthy", include_str!("../../scenarios/healthy.toml")),
    shipped("errors", include_str!("../../scenarios/errors.toml")),
    shipped(
        "rare-errors",
        include_str!("../../scenarios/rare-errors.toml"),
    ),
    shipped("dead", include_str!("../../scenarios/dead.toml")),
    shipped("slow", include_str!("../../scenarios/slow.toml")),
    shipped(
        "lost-sessions",
        include_str!("../../scenarios/lost-sessions.toml"),
    ),
    shipped(
        "some-users",
        include_str!("../../scenarios/some-users.toml"),
    ),
    shipped("both", include_str!("../../scenarios/both.toml")),
    shipped("bot", include_str!("../../scenarios/bot.toml")),
    shipped(
        "quiet-nights",
        include_str!("../../scenarios/quiet-nights.toml"),
    ),
    shipped(
        "second-try",
        include_str!("../../scenarios/second-try.toml"),
    ),
];

const fn shipped(name: &'static str, text: &'static str) -> Shipped {
    Shipped { name, text }
}

impl Shipped {
    /// The one called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        SHIPPED.iter().find(|shipped| shipped.name == name)
    }

    /// Its text.
    pub fn text(&self) -> Text {
        Text {
            name: format!("{}.toml", self.name),
            text: self.text.to_owned(),
        }
    }
}
