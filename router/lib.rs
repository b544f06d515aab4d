//! The program that carries out what `config` means.
//!
//! One request: accept → identify → decide → forward → record. One change: source → compile → publish → confirm.

pub mod entropy;
pub mod pool;

pub mod access_log;
pub mod metrics;
pub mod record;

pub mod publish;

pub mod admin;
pub mod control;
pub mod journal;
pub mod secret;
pub mod source;
pub mod state;

#[cfg(test)]
mod testing;
