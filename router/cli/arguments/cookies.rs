//! `kanaria cookies`.

use clap::{Args, ValueEnum};

/// `kanaria cookies`.
#[derive(Args, Debug)]
pub struct Cookies {
    /// Only this route; without it every route with two pools or more.
    pub route: Option<String>,
    /// Exit with 1 when there is one.
    #[arg(long, value_enum, value_name = "FINDING")]
    pub fail_on: Option<FailOn>,
}

/// What a pipeline stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Two pools get into each other's way with a cookie.
    Conflict,
}
