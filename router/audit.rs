//! `kanaria audit session`: a scripted client with a browser's cookies, each step of which is forced onto a pool by a flag.
//!
//! It talks to a router as any client does, and knows no other part of it.

mod ask;
mod play;
mod scenario;

pub use ask::Door;
pub use play::{Failure, Played, Report, Way, play};
pub use scenario::{Expect, Fault, Scenario, Step, read};
