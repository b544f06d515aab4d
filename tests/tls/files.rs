//! Files that change while the router runs.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{shown, start, start_as};
use crate::support::http2::{Http2, ask};
use crate::support::tls::{Authority, Wanted, put};
use crate::support::{File, Kanaria, Stub, get, until, within};
use tempfile::TempDir;

/// A renewed certificate must be seen within this time.
const BOUND: Duration = Duration::from_secs(1);

/// Slack for a machine that does other things.
const SLACK: Duration = Duration::from_secs(4);

#[test]
fn a_renewed_certificate_is_used_within_a_second_and_open_connections_stay() {
    let (authority, _ec2, kanaria) = start(&["a.test", "b.test"]);
    let (a, b) = (authority.hello("a.test"), authority.hello("b.test"));
    let before = [&a, &b].map(|hello| shown(hello, kanaria.public));
    let mut open = a.connect(kanaria.public);
    let streams = Http2::connect_over(kanaria.public, &a);
    let ask_open = |open: &mut crate::support::Client| {
        assert_eq!(open.call(get("/", "Host: a.test\r\n")).status, 200);
        let reply = streams.call(ask("GET", "/").uri("https://a.test/"), b"");
        assert_eq!(reply.status, 200);
    };
    ask_open(&mut open);
    authority.issue(&kanaria.path("certs"), "a.test", Wanted::hosts(&["a.test"]));
    let changed = Instant::now();
    let renewed = within(BOUND + SLACK, || {
        Some(shown(&a, kanaria.public)).filter(|shown| *shown != before[0])
    });
    println!(
        "a renewed certificate is used after {:?}; bound {BOUND:?}",
        changed.elapsed()
    );
    assert!(renewed.is_some());
    assert_eq!(shown(&b, kanaria.public), before[1]);
    ask_open(&mut open);
    // One that is new is found, too, and one that is gone is not shown any more.
    authority.issue(&kanaria.path("certs"), "c.test", Wanted::hosts(&["c.test"]));
    until("the new certificate is used", || {
        authority.hello("c.test").try_connect(kanaria.public).ok()
    });
    fs::remove_file(kanaria.path("certs/b.test.crt")).unwrap();
    until("the certificate that is gone is not shown", || {
        b.try_connect(kanaria.public).err()
    });
    ask_open(&mut open);
}

#[test]
fn sighup_takes_certificates_at_once() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    let hello = authority.hello("a.test");
    let before = shown(&hello, kanaria.public);
    authority.issue(&kanaria.path("certs"), "a.test", Wanted::hosts(&["a.test"]));
    kanaria.signal(Signal::HUP);
    until("the renewed certificate is used", || {
        Some(shown(&hello, kanaria.public)).filter(|shown| *shown != before)
    });
    authority.issue(&kanaria.path("certs"), "a.test", Wanted::hosts(&["a.test"]));
    let between = shown(&hello, kanaria.public);
    let outcome = kanaria.run(&["reload"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    // What was answered is in force.
    assert_ne!(shown(&hello, kanaria.public), between);
}

#[test]
fn a_broken_pair_leaves_the_old_one_and_the_others_are_taken() {
    let (authority, _ec2, kanaria) = start(&["a.test", "b.test"]);
    let (a, b) = (authority.hello("a.test"), authority.hello("b.test"));
    let before = [&a, &b].map(|hello| shown(hello, kanaria.public));
    let certs = kanaria.path("certs");
    let [strange, _] = authority.make(Wanted::hosts(&["a.test"]));
    put(&certs.join("a.test.crt"), &strange);
    authority.issue(&certs, "b.test", Wanted::hosts(&["b.test"]));
    until("the other certificate is used", || {
        Some(shown(&b, kanaria.public)).filter(|shown| *shown != before[1])
    });
    assert_eq!(shown(&a, kanaria.public), before[0]);
    until("the log says what is wrong", || {
        let wrong = "`certs/a.test.key` is the key of another certificate than `certs/a.test.crt`";
        kanaria.stderr().contains(wrong).then_some(())
    });
    // The file is reloaded all the same.
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    fs::rename(&certs, kanaria.path("elsewhere")).unwrap();
    until("the log says that the folder is gone", || {
        let wrong = "the folder `certs` cannot be read";
        kanaria.stderr().contains(wrong).then_some(())
    });
    assert_eq!(shown(&a, kanaria.public), before[0]);
    fs::rename(kanaria.path("elsewhere"), &certs).unwrap();
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    until("the pair that was broken is used", || {
        Some(shown(&a, kanaria.public)).filter(|shown| *shown != before[0])
    });
}

#[test]
fn a_broken_pair_in_a_folder_does_not_keep_the_router_from_starting() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    fs::write(certs.join("b.test.crt"), "garbage").unwrap();
    let file = File::single(&ec2).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    authority.hello("a.test").connect(kanaria.public);
    let wrong = "listener public: `certs/b.test.crt` has no certificate in it";
    assert!(kanaria.stderr().contains(wrong), "{}", kanaria.stderr());
}

#[test]
fn an_expired_certificate_is_used_and_warned_of() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    let expired = Wanted {
        until: 2020,
        ..Wanted::hosts(&["a.test"])
    };
    authority.issue(&certs, "a.test", expired);
    authority.issue(&certs, "b.test", Wanted::hosts(&["b.test"]));
    let file = File::single(&ec2).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    let error = authority.hello("a.test").try_connect(kanaria.public).err();
    let error = error.expect("nobody believes it").to_string();
    assert!(error.contains("certificate expired"), "{error}");
    let warning = "listener public: certificate a.test has expired, 2020-01-01";
    assert!(kanaria.stderr().contains(warning), "{}", kanaria.stderr());
    let metrics = kanaria.admin.call("GET", "/metrics", "", "").text();
    let left = |name: &str| {
        let series = format!("kanaria_certificate_expiry_seconds{{name=\"{name}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.expect("a series").parse::<i64>().unwrap()
    };
    assert!(left("a.test") < 0);
    assert!(left("b.test") > 365 * 86_400);
}

#[test]
fn a_changed_listener_keeps_its_connections_and_changes_for_new_ones() {
    let (authority, ec2, kanaria) = start_as(&["a.test"], "certificates = [\"certs\"]", "");
    let hello = authority.hello("a.test").offering(&["h2", "http/1.1"]);
    let mut open = authority.hello("a.test").connect(kanaria.public);
    assert_eq!(open.call(get("/", "Host: a.test\r\n")).status, 200);
    let file = |tls: &str| File::single(&ec2).tls(tls);
    kanaria.rewrite(&file("certificates = [\"certs\"], http2 = false").text());
    let outcome = kanaria.run(&["reload"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let client = hello.connect(kanaria.public);
    assert_eq!(
        client.wire.session().alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
    kanaria.rewrite(&file("certificates = [\"nowhere\"]").text());
    let outcome = kanaria.run(&["reload"]);
    assert_eq!(outcome.code, Some(78), "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("listeners[0].tls.certificates[0]"), "{said}");
    assert_eq!(open.call(get("/", "Host: a.test\r\n")).status, 200);
    hello.connect(kanaria.public);
}
