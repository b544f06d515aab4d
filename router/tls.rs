//! TLS toward clients: which certificates there are, whom they are for, and how they stay fresh.
//!
//! It reads files and answers handshakes' questions; sockets are the business of `accept`. Every handshake asks a store
//! that is replaced as a whole, so that a renewed certificate never touches a connection that is open.

mod admin;
mod certificate;
mod client;
mod folder;
mod provider;
mod ring;
mod secured;
mod shelf;
mod store;
mod terminator;
mod terminators;
mod terms;
mod tickets;
pub mod told;
mod watch;

pub use certificate::Expiry;
pub use client::ClientCertificate;
pub use provider::{install, provider};
pub use secured::Secured;
pub use terminator::Terminator;
pub use terminators::Terminators;
pub use watch::watch;

#[cfg(test)]
mod fixture;
