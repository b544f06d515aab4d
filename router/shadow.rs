//! Copies of requests for pools that answer nobody: which requests have one, and what becomes of it.
//!
//! A request makes its copy and goes on; it never waits for it. Everything after that is on a thread of its own, over
//! connections of its own, in bounds of its own: what is too much is dropped and counted, and a pool that fails is left alone for a while. The targets of a shadow pool
//! are asked without being charged: no lease, no seat, no ejection.

mod backoff;
mod comparison;
mod copy;
mod fate;
mod kept;
mod mirror;
mod registry;
mod worker;

pub use copy::{Asked, Copy};
pub use fate::Fate;
pub use mirror::{Mirror, Seen};
pub use registry::{Board, Shadows};
