//! `kanaria audit ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `kanaria audit ...`.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Log in at one pool and out at the other, as a file says, with a browser's cookies.
    Session(Session),
}

/// `kanaria audit session`.
#[derive(Args, Debug)]
pub struct Session {
    /// The scenario: steps, each with a pool, a request, and what must come of it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The route, whose flags lead to the pools.
    #[arg(long)]
    pub route: String,
    /// Configuration that the router runs, for the flags.
    #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
    pub config: PathBuf,
    /// Where the router listens, in place of what the scenario says.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A value for a signed flag, made by `kanaria flag mint`; may be repeated.
    #[arg(long = "value", value_name = "FLAG=VALUE", value_parser = assigned)]
    pub values: Vec<(String, String)>,
}

fn assigned(text: &str) -> Result<(String, String), String> {
    let assigned = text.split_once('=').filter(|(flag, _)| !flag.is_empty());
    let (flag, value) = assigned.ok_or("expected FLAG=VALUE, as in staff=...")?;
    Ok((flag.to_owned(), value.to_owned()))
}
