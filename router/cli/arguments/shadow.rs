//! What `kanaria shadow` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `kanaria shadow`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Shadow {
    /// Only this route; without it every route that has a shadow.
    pub route: Option<String>,
    /// Exit 1 when there is a difference with enough evidence.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub fail_on: Option<Unwanted>,
    /// Something else about shadows.
    #[command(subcommand)]
    pub verb: Option<ShadowVerb>,
}

/// What fails the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unwanted {
    /// A difference with enough evidence.
    Diff,
}

/// `kanaria shadow ...`.
#[derive(Debug, Subcommand)]
pub enum ShadowVerb {
    /// Send requests that a shadow recorded once more, to a pool; needs no router.
    Run(Rerun),
}

/// What to send to whom.
#[derive(Args, Debug)]
pub struct Rerun {
    /// File of a shadow's `record`.
    pub file: PathBuf,
    /// The pool; every request that was recorded goes to it, whatever its method.
    #[arg(long, value_name = "POOL")]
    pub against: String,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Configuration that has the pool.
    #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
    pub config: PathBuf,
}
