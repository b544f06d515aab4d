//! What becomes of a canary: the guard, which judges by evidence, and the ramp, which raises it by schedule; and what pairs
//! of answers say before it has users.
//!
//! Numbers in, verdicts out. This crate knows no clock, no randomness, no file and no network: all of them are arguments.
//! So whatever it said can be said again from what was written down.
#![warn(missing_docs)]

pub mod clustered;
pub mod compare;
pub mod guard;
pub mod paired;
pub mod ramp;
