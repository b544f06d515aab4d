//! Clients who come again, and what is counted of them.

use std::collections::HashSet;
use std::thread;

use config::bucket::Secret;
use config::decision::Reason;
use config::live::Live;
use config::snapshot::Structure;
use serde_json::json;

use super::super::own::Own;
use super::*;
use crate::testing;

struct Rig {
    memory: Arc<Memory>,
    counts: Arc<Family<Counter>>,
    forgotten: Arc<Counter>,
    switches: Option<Arc<Switches>>,
    numbers: Arc<[u16]>,
    revision: u64,
}

impl Rig {
    fn new() -> Self {
        let own = Own::default();
        let counts = own.counters("switches", "Tested.", &["route", "cause"]);
        let forgotten = own.counter("forgotten", "Tested.");
        Self {
            memory: Arc::new(Memory::new(counts.clone(), forgotten.clone())),
            counts,
            forgotten,
            switches: None,
            numbers: Arc::default(),
            revision: 0,
        }
    }

    /// The usual file with the canary at `percent`.
    fn at(percent: u32) -> Self {
        let mut rig = Self::new();
        rig.weigh(percent, Mover::File);
        rig
    }

    fn weigh(&mut self, percent: u32, by: Mover) {
        let structure = testing::structure(&json!({}), &json!([]));
        self.publish(
            &testing::snapshot(&structure, self.revision + 1, percent),
            by,
        );
    }

    fn publish(&mut self, snapshot: &Snapshot, by: Mover) {
        let structure = &snapshot.structure;
        self.numbers = (self.memory).numbers(structure.pools.iter().map(|pool| &pool.name));
        self.revision = snapshot.revision;
        let before = self.switches.take();
        let (route, memory) = (&structure.routes[0], &self.memory);
        let numbers = &self.numbers;
        self.switches = Switches::next(before.as_ref(), route, snapshot, by, memory, numbers);
    }

    fn see(&self, choice: &Choice, revision: u64) {
        let stamp = Stamp::of(choice, self.numbers[usize::from(choice.pool.0)]);
        self.switches.as_ref().unwrap().see(choice, stamp, revision);
    }

    /// The client at `bucket` was served.
    fn serve(&self, pool: u16, reason: Reason, bucket: u16) {
        self.see(&testing::choice(pool, reason, Some(bucket)), self.revision);
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, u64)]) {
        let counted = Cause::ALL.map(|cause| {
            let labels = ["blogs", cause.as_str()];
            (cause.as_str(), self.counts.of(&labels).get())
        });
        let counted: Vec<_> = counted.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, expected);
    }
}

#[test]
fn each_switch_of_a_client_is_counted_once_and_by_its_cause() {
    let mut rig = Rig::at(10);
    for _ in 0..3 {
        rig.serve(0, Reason::Weight, 2_000);
    }
    rig.check(&[]);
    rig.serve(1, Reason::Flag, 2_000);
    rig.serve(0, Reason::Weight, 2_000);
    rig.check(&[("flag", 2)]);
    rig.weigh(30, Mover::Weights);
    for _ in 0..3 {
        rig.serve(1, Reason::Weight, 2_000);
    }
    rig.check(&[("flag", 2), ("weights", 1)]);
    for _ in 0..3 {
        rig.serve(0, Reason::Failover, 2_000);
    }
    rig.serve(1, Reason::Weight, 2_000);
    rig.check(&[("failover", 2), ("flag", 2), ("weights", 1)]);
    rig.weigh(0, Mover::Rollback);
    rig.serve(0, Reason::Weight, 2_000);
    rig.check(&[
        ("failover", 2),
        ("flag", 2),
        ("rollback", 1),
        ("weights", 1),
    ]);
}

#[test]
fn what_nothing_explains_is_unexplained() {
    let rig = Rig::at(50);
    rig.serve(1, Reason::Weight, 2_000);
    rig.serve(0, Reason::Weight, 2_000);
    rig.check(&[("unexplained", 1)]);
}

#[test]
fn weights_that_are_the_same_in_another_file_move_nobody() {
    let mut rig = Rig::at(50);
    rig.serve(1, Reason::Weight, 2_000);
    let file = |stable: &str| {
        let pool = |port: u16| json!({ "targets": [format!("127.0.0.1:{port}")] });
        let config = json!({
            "version": 1,
            "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
            "pools": { "aaa": pool(1), "ecs": pool(2), "ec2": pool(3) },
            "routes": [{ "name": "blogs", "stable": stable, "weights": { "ec2": 1, "ecs": 1 } }],
        });
        let config: config::model::Config = serde_json::from_value(config).unwrap();
        Arc::new(Structure::compile(&config).unwrap())
    };
    let compile = |stable: &str, revision: u64, epoch: u64| {
        let live = Live {
            revision,
            epochs: [("default".to_owned(), epoch)].into(),
            ..Live::default()
        };
        Snapshot::compile(file(stable), &live, &Secret::new([7; 32])).unwrap()
    };
    let same = compile("ec2", 2, 0);
    rig.publish(&same, Mover::File);
    let number = |name: &str| same.structure.pool_named(name).unwrap().id.0;
    rig.serve(number("ecs"), Reason::Weight, 2_000);
    rig.check(&[]);
    // The same weights with another stable pool: everybody changes sides.
    rig.publish(&compile("ecs", 3, 0), Mover::File);
    rig.serve(number("ec2"), Reason::Weight, 2_000);
    rig.check(&[("file", 1)]);
    // A reshuffle makes strangers of all.
    rig.publish(&compile("ecs", 4, 1), Mover::Weights);
    rig.serve(number("ecs"), Reason::Weight, 2_000);
    rig.check(&[("file", 1)]);
}

#[test]
fn a_request_that_was_decided_before_counts_as_what_it_was() {
    let mut rig = Rig::at(50);
    rig.weigh(10, Mover::Rollback);
    // It came before the change and ends after it, and its client was not known.
    rig.see(&testing::choice(1, Reason::Weight, Some(2_000)), 1);
    rig.serve(0, Reason::Weight, 2_000);
    rig.check(&[("rollback", 1)]);
    // Another one of them ends when the client is elsewhere already.
    rig.see(&testing::choice(1, Reason::Weight, Some(2_000)), 1);
    rig.serve(0, Reason::Weight, 2_000);
    rig.check(&[("rollback", 1)]);
}

#[test]
fn whoever_is_not_known_was_where_the_decision_sends_it() {
    let rig = Rig::at(50);
    let of = |sticky: Sticky, bucket: Option<u16>, reason: Reason| Choice {
        sticky,
        ..testing::choice(0, reason, bucket)
    };
    // Without an id every request is somebody else; bucket 0 of the first route is no exception.
    for bucket in [Some(0), Some(2_000), None] {
        let revision = rig.revision;
        rig.see(&of(Sticky::None, bucket, Reason::Weight), revision);
        rig.see(&of(Sticky::None, bucket, Reason::Cap), revision);
        rig.see(&of(Sticky::None, bucket, Reason::Cap), revision);
    }
    rig.check(&[("cap", 6)]);
    // A new client is known from then on.
    for _ in 0..2 {
        rig.see(&of(Sticky::New, Some(3_000), Reason::Failover), 1);
    }
    rig.serve(1, Reason::Weight, 3_000);
    rig.check(&[("cap", 6), ("failover", 2)]);
}

/// Clients of this route that are remembered at the same place as the one at bucket 2,000.
fn neighbors(route: u64) -> impl Iterator<Item = Choice> {
    let (position, _) = place(route, 2_000 << 16 | 2_000);
    let clients = (0..10_000_u16).flat_map(|bucket| (0..2_000_u16).map(move |unit| (bucket, unit)));
    let clients = clients.filter(|client| *client != (2_000, 2_000));
    let clients = clients.filter(move |(bucket, unit)| {
        place(route, u64::from(*bucket) << 16 | u64::from(*unit)).0 == position
    });
    clients.map(|(bucket, unit)| Choice {
        unit,
        ..testing::choice(u16::from(bucket < 5_000), Reason::Weight, Some(bucket))
    })
}

#[test]
fn strangers_without_an_id_take_no_place_and_known_clients_are_counted_as_forgotten() {
    let rig = Rig::at(50);
    let route = rig.switches.as_ref().unwrap().route;
    let neighbors: Vec<Choice> = neighbors(route).take(20).collect();
    assert_eq!(neighbors.len(), 20);
    rig.serve(1, Reason::Weight, 2_000);
    for neighbor in &neighbors {
        let new = Choice {
            sticky: Sticky::New,
            ..*neighbor
        };
        rig.see(&new, 1);
    }
    rig.serve(0, Reason::Flag, 2_000);
    rig.check(&[("flag", 1)]);
    assert_eq!(rig.forgotten.get(), 0);
    for neighbor in &neighbors {
        rig.see(neighbor, 1);
    }
    assert_eq!(rig.forgotten.get(), 20);
    rig.serve(1, Reason::Weight, 2_000);
    // It is not known that it had a flag: too few are counted, never too many.
    rig.check(&[("flag", 1)]);
}

#[test]
fn of_requests_that_end_at_once_one_is_the_switch() {
    let mut rig = Rig::at(50);
    let route = rig.switches.as_ref().unwrap().route;
    // Each at a place of its own, so that nobody is forgotten.
    let mut places = HashSet::new();
    let clients = (0..4_000_u16).filter(|bucket| {
        let client = u64::from(*bucket) << 16 | u64::from(*bucket);
        places.insert(place(route, client).0)
    });
    let clients: Vec<u16> = clients.collect();
    for bucket in &clients {
        rig.serve(1, Reason::Weight, *bucket);
    }
    rig.weigh(0, Mover::Rollback);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for bucket in &clients {
                    rig.serve(0, Reason::Weight, *bucket);
                }
            });
        }
    });
    rig.check(&[("rollback", clients.len() as u64)]);
}

/// Far more clients than there are places: nobody is taken for somebody else.
#[test]
fn a_crowd_leaves_nothing_unexplained() {
    let mut rig = Rig::at(50);
    let mut state = 1_u64;
    for n in 0..600_000_u32 {
        if n % 100_000 == 0 {
            rig.weigh(10 + n / 20_000, Mover::Ramp);
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let bucket = (state >> 33) as u16 % 10_000;
        let canary = (10 + n / 100_000 * 5) as u16 * 100;
        let choice = Choice {
            unit: (state >> 48) as u16 % 64,
            ..testing::choice(u16::from(bucket < canary), Reason::Weight, Some(bucket))
        };
        rig.see(&choice, rig.revision);
    }
    let ramp = rig.counts.of(&["blogs", "ramp"]).get();
    let unexplained = rig.counts.of(&["blogs", "unexplained"]);
    println!("{ramp} by the ramp, {} forgotten", rig.forgotten.get());
    assert_eq!(unexplained.get(), 0);
    assert!(ramp > 0 && rig.forgotten.get() > 0);
}
