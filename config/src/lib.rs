//! What an operator may write for kanaria, and what it means.
//!
//! Two halves: reading (`text → Config`, every error at once, with its place) and meaning
//! (`Config + Live → Snapshot`, `Snapshot::decide(&Facts) → Decision`).
//! This crate knows no clock, no randomness, no environment, no files and no network: all of them are arguments.
#![warn(missing_docs)]

mod document;
mod interpolate;
mod text;
mod walk;

pub mod check;
pub mod digest;
pub mod discovery;
pub mod health;
pub mod hours;
pub mod load;
pub mod model;
pub mod probe;
pub mod problem;
pub mod reference;
pub mod scenario;
pub mod schema;
pub mod units;

pub mod action;
pub mod bucket;
pub mod ids;
pub mod sign;
pub mod snapshot;
pub mod split;

mod decide;
pub mod decision;
pub mod explain;
pub mod facts;
pub mod fields;
pub mod flag;
mod index;
mod matching;
mod partition;
mod path;
mod pattern;
pub mod pin;
pub mod redirect;
pub mod rewrite;
pub mod shadow;

pub mod cookie;
pub mod id;
pub mod mint;

pub mod live;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
