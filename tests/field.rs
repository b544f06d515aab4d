//! Field cases (needs that companies had in exactly this migration) that this release proves, by their number.
//!
//! Ramps, guards, shadows, discovery, TLS and binary upgrades come later, and with them the rest of the cases.

mod gree;
mod hatena;
mod misoca;
mod stores;
mod toreta;

use crate::support::Stub;

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}
