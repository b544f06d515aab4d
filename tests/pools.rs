//! Targets that come, go and fail while traffic runs.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{File, Kanaria, Stub, get, until, volley};

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
