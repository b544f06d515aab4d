//! The harness of the black-box tests.
//!
//! Everything blocks, with a deadline on every wait; nothing sleeps to let something else happen first.

mod admin;
mod client;
mod dns;
mod file;
pub(crate) mod http2;
mod jar;
mod kanaria;
mod load;
pub(crate) mod messages;
mod siege;
mod stats;
mod stub;
mod tail;
pub(crate) mod tls;
mod wire;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use client::{Answer, Client, get, request};
pub(crate) use dns::{Dns, Mood};
pub(crate) use file::File;
pub(crate) use jar::Jar;
pub(crate) use kanaria::{Kanaria, Outcome, command, outcome};
pub(crate) use load::{Load, Shot, strays, volley};
pub(crate) use siege::besiege;
pub(crate) use stats::{Counts, share_z};
pub(crate) use stub::{After, Exchange, Seen, Stub};
pub(crate) use tail::{Tail, files_of, lines_of_all};
pub(crate) use wire::{Framing, Head, Wire};

/// No wait of a test lasts longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The long form was asked for.
pub(crate) fn long() -> bool {
    std::env::var_os("KANARIA_LONG").is_some()
}

/// `short`, or `full` in the long form.
pub(crate) fn sized(short: usize, full: usize) -> usize {
    if long() { full } else { short }
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, ask) {
        Some(answer) => answer,
        None => panic!("not within {DEADLINE:?}: {what}"),
    }
}

/// Asks until there is an answer or the time is over.
pub(crate) fn within<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(3));
    }
}
