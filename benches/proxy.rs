//! What a request costs: kanaria beside a bare pingora proxy, and beside nginx and HAProxy where they are installed.
//!
//! All proxies do equal work with one thread, pinned to the first core; load and backends run on the second.
//! The bare proxy is this very binary in another role, so it has the same allocator, profile and buffers.
//! Machines are noisy: rounds are interleaved, and what counts are ratios inside one run, or instructions.
//!
//! ```text
//! cargo bench --bench proxy                    CPU per request, 5 rounds
//! cargo bench --bench proxy -- --counts        user instructions per request (callgrind)
//! cargo bench --bench proxy -- --counts --tls  the same over TLS 1.3
//! cargo bench --bench proxy -- --idle          memory per idle connection
//! cargo bench --bench proxy -- --reload        reload of 1,000 routes under load
//! cargo bench --bench proxy -- --health        CPU per health check, 10,000 targets
//! cargo bench --bench proxy -- --tls           handshakes and requests over TLS, 3 rounds
//! ```

#[path = "proxy/backend.rs"]
mod backend;
#[path = "proxy/bare.rs"]
mod bare;
#[path = "proxy/counts.rs"]
mod counts;
#[path = "proxy/cpu.rs"]
mod cpu;
#[path = "proxy/health.rs"]
mod health;
#[path = "proxy/idle.rs"]
mod idle;
#[path = "proxy/load.rs"]
mod load;
#[path = "proxy/peer.rs"]
mod peer;
#[path = "proxy/process.rs"]
mod process;
#[path = "proxy/reload.rs"]
mod reload;
#[path = "proxy/tls.rs"]
mod tls;

use std::io::Write;

use anyhow::{Result, bail};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["backend", name] => backend::run(name),
        ["bare", listen, targets @ ..] => bare::run(listen, None, targets),
        ["bare-tls", listen, cert, key, targets @ ..] => {
            bare::run(listen, Some([cert, key]), targets)
        }
        ["checked"] => health::checked(),
        ["floor", port] => health::floor(port.parse()?),
        [
            what @ ("shake" | "shake-hybrid" | "tls-1" | "tls-2"),
            address,
            count,
        ] => tls::role(what, address, count.parse()?),
        ["load", address, requests, client] => load::role(address, requests.parse()?, client),
        [] => cpu::run(5),
        ["--rounds", rounds] => cpu::run(rounds.parse()?),
        ["--counts"] => counts::run(),
        ["--counts", "--tls"] => counts::run_over_tls(),
        ["--idle"] => idle::run(),
        ["--reload"] => reload::run(),
        ["--health"] => health::run(),
        ["--tls"] => tls::run(3, 1),
        ["--tls", "--short"] => tls::run(1, 40),
        _ => bail!("unknown arguments {words:?}; the first lines of benches/proxy.rs name them"),
    }
}

/// One line for the person who runs this, and for `docs/benchmarks.md`.
fn say(line: impl AsRef<str>) {
    // A reader that went away is not our failure.
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// The middle value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
