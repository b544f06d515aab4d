//! `kanaria ramp ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Change;

/// `kanaria ramp ...`.
#[derive(Debug, Subcommand)]
pub enum RampVerb {
    /// Begin, at the first step that takes nothing from the canary.
    Start {
        /// Which, and how.
        #[command(flatten)]
        ramp: Ramp,
        /// Also before the guard has known stable for 180 minutes; it may take noise for harm then.
        #[arg(long)]
        cold: bool,
    },
    /// Stay at this step.
    Pause(Ramp),
    /// Go on at this step, with its time begun anew after a rollback.
    Resume(Ramp),
    /// Take the next step now, whatever it waits for.
    Advance(Ramp),
    /// Give up: everything back to stable, as `rollback`.
    Abort(Ramp),
    /// End the migration, once the last step was held for its time and while stable could still take everything back.
    Finalize(Ramp),
    /// Where it is, and what it waits for.
    Status {
        /// The route.
        route: String,
    },
    /// What harm the guard would see in each step, and how soon, by the traffic of the last hour.
    Forecast {
        /// The route.
        route: String,
    },
    /// Its stages and their dates.
    Plan {
        /// The route.
        route: String,
        /// Of this configuration, without a router, as if started now.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// A ramp to be turned.
#[derive(Args, Debug)]
pub struct Ramp {
    /// The route.
    pub route: String,
    /// Also by more than `max_step`, and on a route with a mark.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}
