//! HATENA: thousands of custom domains, whose certificates change while the router runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::http2::{Http2, ask};
use crate::support::tls::{Authority, Wanted};
use crate::support::{File, Kanaria, Stub, get, long, sized, within};
use crate::tls::shown;

/// A router that has read its certificates must answer within this time.
const START: Duration = Duration::from_secs(3);
/// A certificate that was written must be shown within this time.
const SHOWN: Duration = Duration::from_secs(1);
/// Slack of the short form, in which the program is not optimized.
const SLACK: Duration = Duration::from_secs(9);

/// Certificates of thousands of domains, one replaced and one added under load: new handshakes use them within a second,
/// none fails, streams that run are not touched, and each has its expiry in the metrics.
#[test]
fn field_hatena_7() {
    let n_domains = sized(100, 5000);
    let slack = if long() { Duration::ZERO } else { SLACK };
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    for n in 0..n_domains {
        let domain = domain(n);
        authority.issue(&certs, &domain, Wanted::hosts(&[&domain]));
    }
    let begun = Instant::now();
    let file = File::single(&ec2).tls("certificates = [\"certs\"]").quiet();
    let kanaria = Kanaria::start_in(folder, &file);
    let took = begun.elapsed();
    println!("{n_domains} certificates: ready after {took:?}; bound {START:?}");
    println!("resident memory: {} KiB", kanaria.resident_kib());
    assert!(took < START + slack, "{took:?}");
    let metrics = kanaria.admin.call("GET", "/metrics", "", "").text();
    assert_eq!(
        metrics
            .matches("kanaria_certificate_expiry_seconds{")
            .count(),
        n_domains
    );

    let (stop, n_handshakes, n_failed) = counters();
    let clients: Vec<_> = (0..2)
        .map(|client| {
            let hellos: Vec<_> = (1..20)
                .map(|n| authority.hello(&domain(client + n * n_domains / 20)).anew())
                .collect();
            let (stop, n_handshakes, n_failed) = (
                Arc::clone(&stop),
                Arc::clone(&n_handshakes),
                Arc::clone(&n_failed),
            );
            let address = kanaria.public;
            thread::spawn(move || {
                for hello in hellos.iter().cycle().take_while(|_| !stop.load(Relaxed)) {
                    let asked = hello.try_connect(address).and_then(|mut client| {
                        client.try_call(get("/", &format!("Host: {}\r\n", hello.host())))
                    });
                    n_handshakes.fetch_add(1, Relaxed);
                    if !asked.is_ok_and(|answer| answer.status == 200) {
                        n_failed.fetch_add(1, Relaxed);
                    }
                }
            })
        })
        .collect();
    let streams = Http2::connect_over(kanaria.public, &authority.hello(&domain(0)));
    let on_stream = || {
        let uri = format!("https://{}/", domain(0));
        assert_eq!(streams.call(ask("GET", "/").uri(uri), b"").status, 200);
    };
    on_stream();
    let renewed = authority.hello(&domain(0)).anew();
    let before = shown(&renewed, kanaria.public);
    authority.issue(
        &kanaria.path("certs"),
        &domain(0),
        Wanted::hosts(&[&domain(0)]),
    );
    let written = Instant::now();
    let shown = within(SHOWN + slack, || {
        on_stream();
        Some(shown(&renewed, kanaria.public)).filter(|shown| *shown != before)
    });
    println!(
        "a replaced certificate is shown after {:?}; bound {SHOWN:?}",
        written.elapsed()
    );
    assert!(shown.is_some());
    let new = "new.example";
    authority.issue(&kanaria.path("certs"), new, Wanted::hosts(&[new]));
    let written = Instant::now();
    let shown = within(SHOWN + slack, || {
        on_stream();
        authority.hello(new).try_connect(kanaria.public).ok()
    });
    println!(
        "a new certificate is shown after {:?}; bound {SHOWN:?}",
        written.elapsed()
    );
    assert!(shown.is_some());
    stop.store(true, Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    let (n_handshakes, n_failed) = (n_handshakes.load(Relaxed), n_failed.load(Relaxed));
    println!("{n_handshakes} handshakes meanwhile, {n_failed} failed; bound 0");
    assert!(n_handshakes > 0);
    assert_eq!(n_failed, 0);
}

fn counters() -> (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    (Arc::default(), Arc::default(), Arc::default())
}

fn domain(n: usize) -> String {
    format!("blog-{n}.example")
}
