//! Field cases (needs that companies had in exactly this migration) that this release proves, by their number.
//!
//! What is not built yet comes later, and with it the rest of the cases.

mod certificates;
mod evidence;
mod gree;
mod hatena;
mod misoca;
mod shadow_costs;
mod shadows;
mod stores;
mod toreta;
mod versions;

use crate::support::{Counts, Shot, Stub, share_z};

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

/// No request failed, and the canary, whichever of its targets served, got its 10 %.
#[track_caller]
fn swapped(shots: &[Shot], what: &str) {
    let counts: Counts = shots.iter().map(|shot| shot.stub.as_str()).collect();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    let canary = counts.total() - counts.of("ec2");
    let z = share_z(canary, counts.total(), 0.1);
    println!(
        "{what}: {} requests, {failed} failed, bound 0; {counts}z {z:.2}, bound 3.3",
        shots.len()
    );
    assert_eq!(failed, 0);
    assert!(z.abs() < 3.3);
}
