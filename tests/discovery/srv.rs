//! SRV records: priorities, weights, ports, and hosts that come and go.

use super::{failures, found, targets, until_targets};
use crate::support::{Counts, Dns, Kanaria, Mood, Stub, get, until, volley};

const KEYS: &str = "srv = \"_web._tcp.test\"";

fn local() -> [std::net::IpAddr; 1] {
    ["127.0.0.1".parse().unwrap()]
}

#[test]
fn the_lowest_priority_serves_by_its_weights_at_its_ports() {
    let ec2 = Stub::start("ec2");
    let (light, heavy, spare) = (
        Stub::start("light"),
        Stub::start("heavy"),
        Stub::start("spare"),
    );
    let dns = Dns::start();
    dns.set("task.test", 1, &local());
    let services = [
        (10, 1, light.address.port(), "task.test"),
        (10, 3, heavy.address.port(), "task.test"),
        (20, 9, spare.address.port(), "task.test"),
    ];
    dns.set_services("_web._tcp.test", 1, &services);
    let kanaria = Kanaria::start(&found(&ec2, &[&dns], KEYS, "ec2 = 0, ecs = 1"));
    let answers = volley(kanaria.public, 400, 4, |_| get("/", ""));
    let counts: Counts = answers.iter().map(|answer| answer.stub()).collect();
    println!("{counts}at 1:3");
    assert_eq!((counts.of("light"), counts.of("heavy")), (100, 300));
    dns.set_services("_web._tcp.test", 1, &services[2..]);
    until_targets(&kanaria, &[spare.address]);
}

#[test]
fn a_host_that_is_gone_is_left_out_and_one_that_cannot_be_asked_for_stays() {
    let ec2 = Stub::start("ec2");
    let (one, two) = (Stub::start("one"), Stub::start("two"));
    let dns = Dns::start();
    dns.set("one.test", 1, &local());
    dns.set_services(
        "_web._tcp.test",
        1,
        &[
            (1, 1, one.address.port(), "one.test"),
            (1, 1, two.address.port(), "two.test"),
        ],
    );
    let kanaria = Kanaria::start(&found(&ec2, &[&dns], KEYS, "ec2 = 0, ecs = 1"));
    assert_eq!(targets(&kanaria), [one.address]);
    dns.set("two.test", 1, &local());
    until("the second host is found", || {
        (targets(&kanaria).len() == 2).then_some(())
    });
    for mood in [Mood::ServFail, Mood::NoSuchName, Mood::Empty] {
        let before = failures(&kanaria);
        dns.set_mood(mood);
        until("it fails", || {
            (failures(&kanaria) >= before + 2.0).then_some(())
        });
        assert_eq!(targets(&kanaria).len(), 2, "{mood:?}");
    }
    // A host of `.` says that the service is not there: no reason to forget where it was.
    dns.set_mood(Mood::Answers);
    dns.set_services("_web._tcp.test", 1, &[(0, 0, 0, ".")]);
    until("the service is not available", || {
        let failure = super::discovery(&kanaria)["failure"].to_string();
        failure.contains("not available").then_some(())
    });
    let answers = volley(kanaria.public, 40, 2, |_| get("/", ""));
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.stub() != "ec2")
    );
}
