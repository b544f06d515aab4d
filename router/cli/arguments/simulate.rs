//! `kanaria simulate`.

use std::path::PathBuf;

use clap::Args;

use crate::simulate::Expected;

/// `kanaria simulate`.
#[derive(Args, Debug)]
pub struct Simulate {
    /// Configuration, TOML or JSON.
    #[arg(value_name = "FILE", default_value = "kanaria.toml")]
    pub file: PathBuf,
    /// What happens: a scenario that comes with the program, or a file.
    #[arg(long, value_name = "NAME_OR_FILE", default_value = "healthy")]
    pub scenario: String,
    /// Show the scenarios that come with the program.
    #[arg(long)]
    pub list: bool,
    /// The route; without it the first one with a ramp, else with a guard, else with more than one pool.
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<String>,
    /// What chance begins with: the same seed, the same run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run for so many days, whatever the scenario says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=400))]
    pub days: Option<u16>,
    /// Exit with 1 unless it comes to this.
    #[arg(long, value_enum)]
    pub expect: Option<Expected>,
    /// Write every request of the route to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub requests: Option<PathBuf>,
}
