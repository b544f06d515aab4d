//! Names: what is found, what is kept, and what a name server may do without costing a request.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    blue_and_green, by_dns, discovery, failures, found, ip, lines, reaches, targets, until_targets,
};
use crate::support::{Dns, File, Kanaria, Load, Mood, Stub, command, get, sized, until, volley};

#[test]
fn every_way_to_fail_keeps_the_last_answer_and_is_said_once() {
    let ec2 = Stub::start("ec2");
    let (blue, _) = blue_and_green();
    let dns = Dns::start();
    dns.set("web.test", 1, &ip(&blue));
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &blue, "ec2 = 50, ecs = 50"));
    let load = Load::start(kanaria.public, 4, sized(100, 1000));
    let ways = [
        (Mood::ServFail, "SERVFAIL"),
        (Mood::Refuses, "REFUSED"),
        (Mood::NoSuchName, "there is no such name"),
        (Mood::Empty, "the name has no address"),
        (Mood::Silent, "no name server answers in time"),
    ];
    for (mood, word) in ways {
        let before = failures(&kanaria);
        dns.set_mood(mood);
        until("it fails again and again", || {
            (failures(&kanaria) >= before + 2.0).then_some(())
        });
        let seen = blue.count();
        load.pass(40);
        assert!(blue.count() > seen, "{mood:?}");
        assert_eq!(
            lines(&kanaria, &["WARN", word, "last answer"]),
            1,
            "{mood:?}"
        );
        assert!(
            discovery(&kanaria)["failure"]
                .as_str()
                .unwrap()
                .contains(word)
        );
        dns.set_mood(Mood::Answers);
        until("it answers again", || {
            discovery(&kanaria)["failure"].is_null().then_some(())
        });
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{} requests, {failed} failed, bound 0; {} failed lookups",
        shots.len(),
        failures(&kanaria)
    );
    assert_eq!(failed, 0);
    assert_eq!(lines(&kanaria, &["answered again"]), ways.len());
    assert_eq!(targets(&kanaria), [blue.address]);
}

#[test]
fn a_name_server_that_dies_and_returns_takes_nobody_away() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = blue_and_green();
    let dns = Dns::start();
    dns.set("web.test", 1, &ip(&blue));
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &blue, "ec2 = 0, ecs = 1"));
    dns.die();
    until("it fails", || (failures(&kanaria) >= 2.0).then_some(()));
    let answers = volley(kanaria.public, 100, 2, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.stub() == "blue"));
    let age = || {
        kanaria
            .admin
            .metric("kanaria_discovery_age_seconds", &["ecs"])
    };
    until("the age grows", || (age() > 1.5).then_some(()));
    let warnings = kanaria.admin.get("/api/v1/status")["warnings"].to_string();
    assert!(warnings.contains("dns web.test"), "{warnings}");
    let status = kanaria.run(&["status"]).stdout;
    assert!(status.contains("ecs was found by dns web.test"), "{status}");
    dns.set("web.test", 1, &ip(&green));
    dns.revive();
    until_targets(&kanaria, &[green.address]);
    assert!(reaches(&kanaria, &green, 5));
    assert!(age() < 5.0);
}

#[test]
fn a_name_that_is_not_there_starts_says_so_and_is_asked_again() {
    let ec2 = Stub::start("ec2");
    let (blue, _) = blue_and_green();
    let dns = Dns::start();
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &blue, "ec2 = 0, ecs = 1"));
    assert!(
        reaches(&kanaria, &ec2, 5),
        "a canary without targets is served by stable"
    );
    assert_eq!(discovery(&kanaria)["answered"], false);
    let status = kanaria.run(&["status"]).stdout;
    assert!(status.contains("there is no such name"), "{status}");
    until("it is asked again", || {
        (failures(&kanaria) >= 3.0).then_some(())
    });
    assert_eq!(lines(&kanaria, &["ERROR", "web.test", "no such name"]), 1);
    dns.set("web.test", 1, &ip(&blue));
    assert!(reaches(&kanaria, &blue, 10));
    assert_eq!(discovery(&kanaria)["answered"], true);
}

#[test]
fn a_silent_name_server_holds_the_start_up_for_a_bounded_time_only() {
    let ec2 = Stub::start("ec2");
    let dns = Dns::start();
    dns.set_mood(Mood::Silent);
    let began = Instant::now();
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &ec2, "ec2 = 1, ecs = 1"));
    println!("ready after {:?}, bound 10 s", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(reaches(&kanaria, &ec2, 5));
}

#[test]
fn two_hundred_records_come_whole() {
    let ec2 = Stub::start("ec2");
    let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let ecs = Stub::listen(everywhere, "ecs");
    let dns = Dns::start();
    let all: Vec<IpAddr> = (1..=200)
        .map(|n| Ipv4Addr::new(127, 0, 1, n).into())
        .collect();
    dns.set("web.test", 1, &all);
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &ecs, "ec2 = 0, ecs = 1"));
    assert_eq!(targets(&kanaria).len(), 200);
    assert!(dns.by_tcp() > 0, "an answer cut short is asked for by TCP");
    let answers = volley(kanaria.public, 400, 4, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.stub() == "ecs"));
    // In another order it is the same answer.
    let turned: Vec<IpAddr> = all.iter().rev().copied().collect();
    dns.set("web.test", 1, &turned);
    let asked = dns.asked();
    until("it is asked again", || {
        (dns.asked() >= asked + 4).then_some(())
    });
    assert_eq!(lines(&kanaria, &["targets by dns"]), 1);
}

#[test]
fn a_ttl_of_zero_does_not_spin() {
    let ec2 = Stub::start("ec2");
    let dns = Dns::start();
    dns.set("web.test", 0, &ip(&ec2));
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &ec2, "ec2 = 1, ecs = 1"));
    let (before, began) = (dns.asked(), Instant::now());
    until("it is asked again", || {
        (dns.asked() >= before + 6).then_some(())
    });
    let took = began.elapsed();
    // Three lookups of two questions each; the first may be due at once.
    println!("6 questions in {took:?}, bound 1.9 s");
    assert!(took > Duration::from_millis(1900));
    drop(kanaria);
}

#[test]
fn a_long_ttl_does_not_beat_the_refresh() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = blue_and_green();
    let dns = Dns::start();
    dns.set("web.test", 86_400, &ip(&blue));
    let keys = format!(
        "dns = \"web.test:{}\"\ndns_refresh = \"1s\"",
        blue.address.port()
    );
    let kanaria = Kanaria::start(&found(&ec2, &[&dns], &keys, "ec2 = 0, ecs = 1"));
    assert!(reaches(&kanaria, &blue, 5));
    dns.set("web.test", 86_400, &ip(&green));
    assert!(reaches(&kanaria, &green, 5));
}

#[test]
fn another_name_server_answers_when_the_first_cannot() {
    let ec2 = Stub::start("ec2");
    let (blue, _) = blue_and_green();
    for mood in [Mood::ServFail, Mood::Silent] {
        let (first, second) = (Dns::start(), Dns::start());
        first.set_mood(mood);
        second.set("web.test", 1, &ip(&blue));
        let kanaria = Kanaria::start(&by_dns(&ec2, &[&first, &second], &blue, "ec2 = 0, ecs = 1"));
        assert!(reaches(&kanaria, &blue, 10), "{mood:?}");
        assert_eq!(failures(&kanaria), 0.0, "{mood:?}");
    }
}

#[test]
fn localhost_needs_no_name_server() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::start("ecs");
    let dns = Dns::start();
    dns.set_mood(Mood::ServFail);
    let keys = format!("dns = \"localhost:{}\"", ecs.address.port());
    let kanaria = Kanaria::start(&found(&ec2, &[&dns], &keys, "ec2 = 0, ecs = 1"));
    assert!(reaches(&kanaria, &ecs, 5));
    assert_eq!(failures(&kanaria), 0.0);
}

#[test]
fn a_reload_that_brings_a_name_has_its_targets_before_its_first_request() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = blue_and_green();
    let dns = Dns::start();
    dns.set("web.test", 1, &ip(&blue));
    dns.set("other.test", 1, &ip(&green));
    let plain = File::single(&ec2).weights("ec2 = 1");
    let kanaria = Kanaria::start(&plain);
    let load = Load::start(kanaria.public, 4, sized(100, 1000));
    load.pass(20);
    // Stable itself finds its targets, so that nobody can stand in for it.
    let by_name = |name: &str| {
        let keys = format!("dns = \"{name}:{}\"", blue.address.port());
        let resolver = format!("[resolver]\nnameservers = [\"{}\"]\n", dns.address);
        let file = plain.clone().pool("ec2", &[]).pool_keys("ec2", &keys);
        file.before(&resolver).text()
    };
    for (name, stub) in [("web.test", &blue), ("other.test", &green)] {
        kanaria.rewrite(&by_name(name));
        kanaria.admin.post("/api/v1/reload", &json!({}));
        let answers = volley(kanaria.public, 20, 2, |_| get("/", ""));
        assert!(
            answers.iter().all(|answer| answer.stub() == stub.name),
            "{name}"
        );
    }
    // A name that is not there leaves the targets of before, and the reload says so.
    kanaria.rewrite(&by_name("gone.test"));
    let answer = kanaria.admin.post("/api/v1/reload", &json!({}));
    let warnings = answer["warnings"].to_string();
    assert!(
        warnings.contains("gone.test") && warnings.contains("had before"),
        "{answer}"
    );
    load.pass(20);
    kanaria.rewrite(&plain.text());
    kanaria.admin.post("/api/v1/reload", &json!({}));
    let answers = volley(kanaria.public, 20, 2, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.stub() == "ec2"));
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{} requests over four reloads, {failed} failed, bound 0",
        shots.len()
    );
    assert_eq!(failed, 0);
}

#[test]
fn check_looks_up_nothing() {
    let ec2 = Stub::start("ec2");
    let dns = Dns::start();
    let folder = tempfile::tempdir().unwrap();
    let file = by_dns(&ec2, &[&dns], &ec2, "ec2 = 1, ecs = 1");
    std::fs::write(folder.path().join("kanaria.toml"), file.text()).unwrap();
    let outcome = command(folder.path(), &["check", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(dns.asked(), 0);
}
