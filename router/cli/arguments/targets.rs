//! `kanaria targets ...`.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use config::live::target_address;

use super::{Change, NotAnArgument};

/// What to do with the targets of a pool.
#[derive(Debug, Subcommand)]
pub enum TargetsVerb {
    /// Every target of a pool: how it is, since when, and who says so.
    List {
        /// The pool.
        pool: String,
        /// Only this target.
        #[arg(value_name = "ADDR", value_parser = address)]
        address: Option<SocketAddr>,
    },
    /// Add targets to a pool; one that was deregistered comes back.
    Register(Register),
    /// Take targets out of a pool: no new request goes there, what is in flight may finish.
    Deregister(Deregister),
}

/// `kanaria targets register`.
#[derive(Args, Debug)]
#[command(
    after_help = "A target that is there already stays as it is, unless --weight gives it another part:\n  \
    kanaria targets register ecs 10.0.1.5:8080 10.0.1.6:8080 --reason \"green\""
)]
pub struct Register {
    /// The pool.
    pub pool: String,
    /// IP address and port of each, as `10.0.1.5:8080` or `[2001:db8::5]:8080`.
    #[arg(value_name = "ADDR", required = true, value_delimiter = ',', value_parser = address)]
    pub addresses: Vec<SocketAddr>,
    /// Part of each, relative to the other targets; without it the one it has, or 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub weight: Option<u32>,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// `kanaria targets deregister`.
#[derive(Args, Debug)]
#[command(
    after_help = "A target that the file or discovery names stays out until it is registered again:\n  \
    kanaria targets deregister ec2 10.0.1.5:8080 --reason \"disk full\""
)]
pub struct Deregister {
    /// The pool.
    pub pool: String,
    /// IP address and port of each.
    #[arg(value_name = "ADDR", required = true, value_delimiter = ',', value_parser = address)]
    pub addresses: Vec<SocketAddr>,
    /// Also the last target of the pool.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

fn address(text: &str) -> Result<SocketAddr, NotAnArgument> {
    target_address(text).map_err(NotAnArgument::new)
}
