//! What a guard costs in memory, by the difference that it makes to the process.

use std::time::Duration;

use crate::support::{File, Kanaria, Stub, get, sized, volley, within};

const ROUTES: usize = 40;
/// What is promised of each route, in KiB.
const BOUND: usize = 400;

/// A file with so many routes to the same two pools, and this table in each of them.
fn file(ec2: &Stub, ecs: &Stub, table: &str) -> File {
    let routes = (0..ROUTES).map(|n| {
        format!(
            "[[routes]]\nname = 'r{n}'\nmatch = {{ path = '/r{n}' }}\nstable = 'ec2'\nweights = {{ ec2 = 50, ecs = 50 }}\n{table}"
        )
    });
    let routes: String = routes.collect();
    File::split(ec2, ecs, "ec2 = 1").before(&routes).quiet()
}

/// Memory of a router in KiB, after so many clients of each route, half of them of the canary.
fn resident(table: &str, clients: usize) -> usize {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, table));
    let n = ROUTES * clients;
    let path = |n: usize| format!("/r{}", n % ROUTES);
    let answers = volley(kanaria.public, n, 8, |n| get(&path(n), ""));
    assert!(answers.iter().all(|answer| answer.status == 200));
    if !table.is_empty() {
        let counted = within(Duration::from_secs(30), || {
            let last = kanaria
                .admin
                .get(&format!("/api/v1/routes/r{}", ROUTES - 1));
            (last["guard"]["users"].as_u64() > Some(clients as u64 / 4)).then_some(())
        });
        assert!(counted.is_some(), "{}", kanaria.stderr());
    }
    kanaria.resident_kib()
}

/// The short form has few clients, whose sets are lists; the long one as many as make maps of bits of them.
#[test]
fn a_guard_costs_less_than_400_kib_of_memory() {
    let clients = sized(100, 10_000);
    let without = resident("", clients);
    let with = resident("[routes.guard]\n", clients);
    let each = with.saturating_sub(without) / ROUTES;
    println!(
        "{ROUTES} routes with {clients} clients each: {with} KiB with guards, {without} without: {each} KiB a guard, bound {BOUND}"
    );
    assert!((20..BOUND).contains(&each));
}
