//! Pools without a healthy target.

use std::time::{Duration, Instant};

use super::BlackHole;
use crate::support::{File, Kanaria, Stub, get, until, volley, within};

#[test]
fn all_targets_of_both_pools_dead_is_a_clear_503_and_over_within_an_interval() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let check = "health_check = { path = \"/healthz\", interval = \"500ms\", timeout = \"400ms\" }";
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1")
        .pool_keys("ec2", check)
        .pool_keys("ecs", check);
    let kanaria = Kanaria::start(&file);
    let up = || kanaria.admin.metric("kanaria_target_up", &[]);
    until("both are healthy", || (up() == 2.0).then_some(()));
    ec2.die();
    ecs.die();
    let began = Instant::now();
    let answers = volley(kanaria.public, 40, 2, |_| get("/", ""));
    println!("40 requests without a target took {:?}", began.elapsed());
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert!(began.elapsed() < Duration::from_secs(3));
    let log = kanaria.log_of(40);
    assert!(
        log.iter().all(|line| line["error"] == "no_target"),
        "{log:#?}"
    );
    assert!(log.iter().any(|line| line["fail_open"] == true));
    let opened = kanaria
        .admin
        .metric("kanaria_fail_open_total", &["pool=\"ec2\""]);
    assert!(opened >= 30.0, "{opened}");
    let warnings = kanaria.admin.get("/api/v1/status")["warnings"].to_string();
    for text in [
        "pool `ec2` has no healthy target: requests go to all of its targets all the same",
        "pool `ecs` has no healthy target: `ec2` serves in its place",
    ] {
        assert!(warnings.contains(text), "{warnings}");
    }
    assert!(
        kanaria
            .stderr()
            .contains("pool ec2: none of its 1 targets is healthy")
    );
    ec2.revive();
    let back = Instant::now();
    let answer = kanaria.client().call(get("/", ""));
    println!(
        "the first answer came {:?} after the target was back",
        back.elapsed()
    );
    assert_eq!(
        answer.status, 200,
        "a request goes to the target whatever its checks say"
    );
    let healthy = within(Duration::from_secs(10), || (up() == 1.0).then_some(()));
    assert!(healthy.is_some());
    until("it is said", || {
        kanaria.stderr().contains("healthy again").then_some(())
    });
}

#[test]
fn a_pool_that_swallows_connections_is_waited_for_once() {
    let holes = [BlackHole::new(), BlackHole::new()];
    let canaries = [BlackHole::new(), BlackHole::new()];
    let ec2 = Stub::start("ec2");
    let keys =
        "connect_timeout = \"300ms\"\nejection = { consecutive_failures = 1, max_percent = 100 }";
    let file = File::split(&ec2, &ec2, "ec2 = 0, ecs = 1")
        .pool("ec2", &holes.each_ref().map(|hole| hole.address))
        .pool("ecs", &canaries.each_ref().map(|hole| hole.address))
        .pool_keys("ec2", keys)
        .pool_keys("ecs", keys);
    let kanaria = Kanaria::start(&file);
    // The first one finds out: it waits for each of them.
    assert_eq!(kanaria.client().call(get("/", "")).status, 503);
    let began = Instant::now();
    assert_eq!(kanaria.client().call(get("/", "")).status, 503);
    let took = began.elapsed();
    println!("503 after {took:?}, a connect may take 300 ms");
    assert!(took < Duration::from_millis(590), "{took:?}");
    let log = kanaria.log_of(2);
    assert_eq!(log[1]["error"], "no_target");
    assert_eq!(log[1]["attempts"], 1);
}
