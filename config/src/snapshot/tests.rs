//! Names, positions, live weights and the digest of what compiled.

use super::*;
use crate::testing::{live, secret, snapshot, structure};

const ROUTES: &str = "[[routes]]\nname = 'a'\nstable = 'ec2'\nweights = { ecs = 5, ec2 = 95 }\n[[routes]]\nname = 'b'\nstable = 'eks'\ncohort = 'b'";

#[test]
fn names_and_positions_lead_to_each_other() {
    let snapshot = snapshot(ROUTES);
    let structure = &snapshot.structure;
    assert_eq!(structure.route_named("b").unwrap().id, RouteId(1));
    assert!(structure.route_named("c").is_none());
    assert_eq!(
        &*snapshot.pool(structure.pool_named("ecs").unwrap().id).name,
        "ecs"
    );
    assert_eq!(&*snapshot.listener(ListenerId(1)).name, "inner");
    let main = structure.partition_named("main").unwrap();
    assert_eq!(
        (main, &**snapshot.partition_name(main)),
        (PartitionId(0), "main")
    );
    assert_eq!(snapshot.partition_value(main), "main");
    assert_eq!(snapshot.partition_of("WWW.Blogs.example:80"), main);
    assert_eq!(snapshot.partition_header(), "x-blog-domain-partition");
    assert_eq!(structure.partition_names().count(), 4);
    assert_eq!(structure.digest.len(), 12);
    let forward = |route| snapshot.route(RouteId(route)).forward().unwrap();
    let pools: Vec<_> = forward(0)
        .pools
        .iter()
        .map(|id| &*snapshot.pool(*id).name)
        .collect();
    assert_eq!(pools, ["ecs", "ec2"]);
    assert!(forward(0).divides() && !forward(1).divides());
}

#[test]
fn weights_are_live_or_else_the_files() {
    let file = snapshot(ROUTES);
    assert_eq!(file.split(RouteId(0)).unwrap().edges, [(500, PoolId(1))]);
    let live = live("a", &[("ec2", 1), ("ecs", 1)]);
    let changed = file.with_live(&live).unwrap();
    assert_eq!(
        (
            changed.revision,
            changed.split(RouteId(0)).unwrap().edges[0].0
        ),
        (7, 5_000)
    );
    assert_eq!(changed.splits[1], file.splits[1]);
    assert!(Arc::ptr_eq(&changed.structure, &file.structure));
    let again = Snapshot::compile(Arc::clone(&file.structure), &live, &secret()).unwrap();
    assert_eq!((again.splits, again.keys), (changed.splits, changed.keys));
}

#[test]
fn live_weights_name_every_pool_of_the_route() {
    #[track_caller]
    fn check(route: &str, weights: &[(&str, u32)], path: &str, message: &str) {
        let fault = snapshot(ROUTES)
            .with_live(&live(route, weights))
            .unwrap_err();
        assert_eq!((&*fault.path.to_string(), &*fault.message), (path, message));
    }
    let missing = "pool `ecs` is missing; name every pool of the route, 0 is allowed";
    check("a", &[("ec2", 1)], "routes.a.weights", missing);
    let missing = "pool `ecs` is missing; name every pool of the route, 0 is allowed";
    check("a", &[], "routes.a.weights", missing);
    let unknown = "no pool of the route is called `eks`; did you mean `ecs`?";
    check(
        "a",
        &[("ec2", 1), ("ecs", 1), ("eks", 1)],
        "routes.a.weights.eks",
        unknown,
    );
    let zero = "all weights are 0; at least one pool must get traffic";
    check("a", &[("ec2", 0), ("ecs", 0)], "routes.a.weights", zero);
    let fine = "weight 1 of 1000001 is below the finest step of 0.01 %; write 0, or at least 101";
    check(
        "a",
        &[("ec2", 1_000_000), ("ecs", 1)],
        "routes.a.weights.ecs",
        fine,
    );
    let file = snapshot(ROUTES);
    assert!(file.with_live(&live("b", &[])).is_ok());
    assert!(file.with_live(&live("b", &[("eks", 3)])).is_ok());
    assert!(file.with_live(&live("gone", &[("x", 0)])).is_ok());
}

#[test]
fn the_digest_is_of_the_meaning() {
    let digest = |text: &str| structure(text).unwrap().digest;
    let same = ROUTES.replace(
        "name = 'a'\nstable = 'ec2'",
        "stable = \"ec2\" # here\nname = 'a'",
    );
    assert_eq!(digest(ROUTES), digest(&same));
    assert_ne!(
        digest(ROUTES),
        digest(&ROUTES.replace("ecs = 5", "ecs = 6"))
    );
    assert_ne!(
        digest(ROUTES),
        digest(&ROUTES.replace("ecs = 5, ec2 = 95", "ec2 = 95, ecs = 5"))
    );
}

#[test]
fn an_address_of_a_collector_that_is_empty_is_none() {
    let telemetry = |otlp: &str| {
        let text = format!("{ROUTES}\n[telemetry]\notlp = '{otlp}'");
        structure(&text).unwrap().telemetry
    };
    assert!(telemetry("").is_none());
    assert_eq!(telemetry("http://c.test").unwrap().sample, 0.01);
}
