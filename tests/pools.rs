//! Targets that come, go and fail while traffic runs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{File, Kanaria, Load, Stub, get, request, until, volley};

/// The targets of a pool as the admin API tells them.
fn targets(kanaria: &Kanaria, pool: &str) -> Vec<Value> {
    let targets = kanaria.admin.get(&format!("/api/v1/pools/{pool}/targets"));
    targets.as_array().expect("targets are a list").clone()
}

/// State and reason of one target; `None` when it is not in the list.
fn told(kanaria: &Kanaria, pool: &str, address: SocketAddr) -> Option<[Value; 2]> {
    let targets = targets(kanaria, pool).into_iter();
    let mut of_it = targets.filter(|target| target["address"] == json!(address));
    of_it
        .next()
        .map(|target| [target["state"].clone(), target["reason"].clone()])
}

#[test]
fn a_target_that_a_reload_takes_away_drains_and_is_then_gone() {
    let (stays, goes) = (Stub::start("stays"), Stub::start("goes"));
    let keys = "deregistration_delay = \"500ms\"";
    let file = |targets: &[SocketAddr]| {
        File::single(&stays)
            .pool("ec2", targets)
            .pool_keys("ec2", keys)
    };
    let kanaria = Kanaria::start(&file(&[stays.address, goes.address]));
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    assert_eq!((stays.count(), goes.count()), (10, 10));
    kanaria.rewrite(&file(&[stays.address]).text());
    kanaria.admin.post("/api/v1/reload", &json!({}));
    let draining = [json!("draining"), json!("Target.DeregistrationInProgress")];
    assert_eq!(told(&kanaria, "ec2", goes.address), Some(draining));
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    assert_eq!((stays.count(), goes.count()), (30, 10));
    until("the drained target is gone", || {
        told(&kanaria, "ec2", goes.address).is_none().then_some(())
    });
}

#[test]
fn a_target_that_refuses_connections_is_out_within_one_request() {
    let (alive, dead) = (Stub::start("alive"), Stub::start("dead"));
    let file = File::single(&alive).pool("ec2", &[alive.address, dead.address]);
    let kanaria = Kanaria::start(&file);
    dead.die();
    let answers = volley(kanaria.public, 20, 1, |_| request("POST", "/", "", "x"));
    assert!(answers.iter().all(|answer| answer.status == 200));
    let log = kanaria.log_of(20);
    let retried = log.iter().filter(|line| line["attempts"] == 2).count();
    println!("{retried} of 20 requests met the closed port, bound 1");
    assert_eq!(retried, 1);
    let ejected = [json!("unhealthy"), json!("Target.Ejected")];
    assert_eq!(told(&kanaria, "ec2", dead.address), Some(ejected));
    assert_eq!(ejections(&kanaria, "refused"), 1.0);
}

#[test]
fn a_target_that_fails_five_requests_in_a_row_gets_no_sixth() {
    let alive = Stub::start("alive");
    let broken = Stub::with("broken", |exchange| {
        exchange.answer("503 Service Unavailable", "", b"")
    });
    let file = File::single(&alive).pool("ec2", &[alive.address, broken.address]);
    let kanaria = Kanaria::start(&file);
    volley(kanaria.public, 100, 1, |_| get("/", ""));
    println!("{} requests at the broken target, bound 5", broken.count());
    assert_eq!((broken.count(), alive.count()), (5, 95));
    assert_eq!(ejections(&kanaria, "failures"), 1.0);
}

/// One of five answers every third request with 500: never five in a row, and never a connection that breaks.
#[test]
fn a_target_that_fails_more_often_than_the_others_is_left_out() {
    let good: Vec<Stub> = (0..4).map(|_| Stub::start("good")).collect();
    let bad = Stub::with("bad", {
        let n = AtomicUsize::new(0);
        move |exchange| match n.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => exchange.answer("500 Internal Server Error", "", b""),
            _ => exchange.plain(),
        }
    });
    let mut targets: Vec<_> = good.iter().map(|stub| stub.address).collect();
    targets.push(bad.address);
    let keys = "[pools.ec2.ejection.success_rate]\ninterval = \"500ms\"\nmin_requests = 20";
    let file = File::single(&good[0])
        .pool("ec2", &targets)
        .pool_keys("ec2", keys);
    let kanaria = Kanaria::start(&file.quiet());
    let load = Load::start(kanaria.public, 4, 400);
    let out = until("the bad target is out", || {
        let told = told(&kanaria, "ec2", bad.address)?;
        (told[0] == "unhealthy").then_some(told)
    });
    assert_eq!(out[1], "Target.SuccessRate");
    let seen = bad.count();
    load.pass(200);
    let shots = load.stop();
    let late = bad.count() - seen;
    println!("out after {seen} requests; {late} later ones, bound 4 in flight");
    assert!(late <= 4);
    assert!(shots.iter().all(|shot| matches!(shot.status, 200 | 500)));
    assert_eq!(ejections(&kanaria, "success_rate"), 1.0);
    assert!(told(&kanaria, "ec2", good[0].address).is_some_and(|told| told[0] == "healthy"));
}

fn ejections(kanaria: &Kanaria, cause: &str) -> f64 {
    let cause = format!("cause=\"{cause}\"");
    kanaria
        .admin
        .metric("kanaria_ejections_total", &["pool=\"ec2\"", &cause])
}
