//! The program that carries out what `config` means.
//!
//! One request: accept → identify → decide → forward → record. One change: source → compile → publish → confirm.

pub mod accept;
pub mod hygiene;
pub mod refuse;
pub mod tls;

pub mod proxy;

pub mod action;
pub mod cap;
pub mod clients;
pub mod crumbs;
pub mod entropy;
pub mod forward;
pub mod forwarded;
pub mod identify;
pub mod peer;
pub mod pool;
pub mod request_id;
pub mod respond;
pub mod stamp;
pub mod witness;

pub mod caller;
pub mod capture;
pub mod diff;
pub mod rerun;
pub mod shadow;

pub mod access_log;
pub mod metrics;
pub mod record;
pub mod tally;
pub mod trace;

pub mod evict;
pub mod publish;

pub mod admin;
pub mod control;
pub mod journal;
pub mod secret;
pub mod source;
pub mod state;

pub mod audit;
pub mod plan;
pub mod simulate;

pub mod compare;
pub mod cookies;
pub mod discovery;
pub mod guard;
pub mod handover;
pub mod plane;
pub mod ramp;
pub mod run;
pub mod webhooks;

pub mod cli;
pub mod client;
pub mod demo;
pub mod dial;

#[cfg(test)]
mod testing;
