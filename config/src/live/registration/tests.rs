//! Tables of targets that come and go, and the laws they keep.

use proptest::prelude::*;

use super::*;
use crate::model::Config;

/// What the file says of `ecs` in these tests: ports and weights.
const FILE: &[(u16, u32)] = &[(1, 1), (2, 5)];
/// What discovery says.
const DISCOVERED: &[(u16, u32)] = &[(3, 1), (2, 9)];

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn list(targets: &[(u16, u32)]) -> Vec<snapshot::Target> {
    let target = |&(port, weight): &(u16, u32)| snapshot::Target {
        address: at(port),
        weight,
    };
    targets.iter().map(target).collect()
}

fn structure(checked: bool) -> Structure {
    let targets: Vec<_> = FILE
        .iter()
        .map(|(port, weight)| serde_json::json!({ "address": at(*port), "weight": weight }))
        .collect();
    let mut pool = serde_json::json!({ "targets": targets });
    if checked {
        pool["health_check"] = serde_json::json!({ "path": "/healthz" });
    }
    let file = serde_json::json!({ "version": 1, "pools": { "ecs": pool } });
    let config: Config = serde_json::from_value(file).unwrap();
    Structure::compile(&config).unwrap()
}

/// A pool `ecs` and what was done to it.
struct Bench {
    structure: Structure,
    live: Live,
}

impl Bench {
    fn new() -> Self {
        Self {
            structure: structure(false),
            live: Live::default(),
        }
    }

    fn known(&self) -> Known<'_> {
        Known::new(&self.structure, "ecs", &list(DISCOVERED), [at(8)]).unwrap()
    }

    /// Registers `ports`; 0 is no weight.
    fn try_register(&mut self, asked: &[(u16, u32)]) -> Result<Change, Refusal> {
        let asked: Vec<_> = asked
            .iter()
            .map(|(port, weight)| {
                let weight = (*weight > 0).then_some(u64::from(*weight));
                Registration::new(at(*port), weight).unwrap()
            })
            .collect();
        let change = register(&self.live, &self.known(), &asked)?;
        self.live.clone_from(&change.live);
        Ok(change)
    }

    #[track_caller]
    fn register(&mut self, asked: &[(u16, u32)]) -> Change {
        self.try_register(asked).unwrap()
    }

    fn deregister(&mut self, ports: &[u16], bounds: Bounds) -> Result<Change, Refusal> {
        let asked: Vec<_> = ports.iter().map(|port| at(*port)).collect();
        let change = deregister(&self.live, &self.known(), &asked, bounds)?;
        self.live.clone_from(&change.live);
        Ok(change)
    }

    /// Targets and edits, as ports.
    #[track_caller]
    fn is(&self, targets: &[(u16, u32)], registered: &[(u16, u32)], deregistered: &[u16]) {
        let edits = edits(&self.live, &self.known());
        let ports = |map: &BTreeMap<SocketAddr, u32>| -> Vec<_> {
            map.iter()
                .map(|(at, weight)| (at.port(), *weight))
                .collect()
        };
        let out: Vec<_> = edits.deregistered.iter().map(SocketAddr::port).collect();
        let found = (
            ports(&self.known().targets(&edits)),
            ports(&edits.registered),
            out,
        );
        assert_eq!(
            found,
            (targets.into(), registered.into(), deregistered.into())
        );
    }
}

#[test]
fn without_edits_a_pool_is_what_file_and_discovery_say() {
    Bench::new().is(&[(1, 1), (2, 5), (3, 1)], &[], &[]);
}

#[test]
fn a_new_target_is_registered_with_its_weight_or_1() {
    let mut bench = Bench::new();
    let change = bench.register(&[(6, 0), (7, 3)]);
    assert_eq!(change.live.revision, 1);
    let shift = |port, after| TargetShift {
        address: at(port),
        before: None,
        after: Some(after),
    };
    assert_eq!(change.targets, [shift(6, 1), shift(7, 3)]);
    bench.is(
        &[(1, 1), (2, 5), (3, 1), (6, 1), (7, 3)],
        &[(6, 1), (7, 3)],
        &[],
    );
}

#[test]
fn registering_a_target_again_changes_nothing_and_says_so() {
    let mut bench = Bench::new();
    bench.register(&[(6, 4)]);
    for again in [(6, 4), (6, 0), (1, 0), (1, 1), (3, 1)] {
        let change = bench.register(&[again]);
        assert_eq!(change.live.revision, 1, "{again:?}");
        assert!(change.notes[0].ends_with("already"), "{:?}", change.notes);
    }
    assert_eq!(bench.register(&[(6, 2)]).live.revision, 2);
    bench.is(&[(1, 1), (2, 5), (3, 1), (6, 2)], &[(6, 2)], &[]);
}

#[test]
fn another_weight_beats_the_files_until_the_files_is_asked_for() {
    let mut bench = Bench::new();
    bench.register(&[(2, 7)]);
    bench.is(&[(1, 1), (2, 7), (3, 1)], &[(2, 7)], &[]);
    bench.register(&[(2, 5)]);
    bench.is(&[(1, 1), (2, 5), (3, 1)], &[], &[]);
}

#[test]
fn what_the_file_or_discovery_names_is_left_out_until_it_is_registered_again() {
    let mut bench = Bench::new();
    let change = bench.deregister(&[2, 3], Bounds::Kept).unwrap();
    assert_eq!(change.targets[0].before, Some(5));
    assert_eq!(change.targets[0].after, None);
    assert_eq!(
        change.notes,
        [
            "no new request goes there; what is in flight may finish within 30s (deregistration_delay)"
        ]
    );
    bench.is(&[(1, 1)], &[], &[2, 3]);
    bench.register(&[(2, 0), (3, 0)]);
    bench.is(&[(1, 1), (2, 5), (3, 1)], &[], &[]);
    assert_eq!(bench.live.targets, BTreeMap::new());
}

#[test]
fn a_registered_target_that_nobody_else_names_is_forgotten() {
    let mut bench = Bench::new();
    bench.register(&[(6, 4)]);
    bench.deregister(&[6], Bounds::Kept).unwrap();
    bench.is(&[(1, 1), (2, 5), (3, 1)], &[], &[]);
}

#[test]
fn deregistering_again_changes_nothing_and_says_so() {
    let mut bench = Bench::new();
    bench.deregister(&[1], Bounds::Kept).unwrap();
    for again in [1, 8] {
        let change = bench.deregister(&[again], Bounds::Kept).unwrap();
        assert_eq!(change.live.revision, 1);
        let expected = format!("127.0.0.1:{again} is deregistered already");
        assert_eq!(change.notes, [expected]);
    }
}

#[test]
fn unknown_targets_are_refused_with_their_places_and_nothing_is_done() {
    let mut bench = Bench::new();
    let refusal = bench
        .deregister(&[1, 6, 7], Bounds::Overridden)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "pool `ecs` has no target 127.0.0.1:6, 127.0.0.1:7; \
         its targets are 127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3"
    );
    let keys: Vec<_> = refusal.complaints().into_iter().map(|it| it.key).collect();
    assert_eq!(keys, ["targets[1].address", "targets[2].address"]);
    assert_eq!(bench.live, Live::default());
}

#[test]
fn a_target_given_twice_is_refused_whatever_its_weights() {
    let mut bench = Bench::new();
    let refusal = bench
        .try_register(&[(6, 1), (7, 0), (6, 2), (6, 1)])
        .unwrap_err();
    assert_eq!(
        refusal,
        bench.deregister(&[6, 7, 6, 6], Bounds::Kept).unwrap_err()
    );
    let complaints = refusal.complaints();
    assert_eq!(complaints[1].key, "targets[3].address");
    assert_eq!(complaints[1].message, "127.0.0.1:6 is given twice");
    assert_eq!(bench.live, Live::default());
}

#[test]
fn the_last_target_goes_only_by_force() {
    let mut bench = Bench::new();
    let refusal = bench.deregister(&[1, 2, 3], Bounds::Kept).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "pool `ecs` would have no target left; register another one first, or `force` it"
    );
    bench.deregister(&[1, 2, 3], Bounds::Overridden).unwrap();
    bench.is(&[], &[], &[1, 2, 3]);
    let change = bench.deregister(&[1, 2, 3], Bounds::Kept).unwrap();
    assert_eq!(change.live.revision, 1);
}

#[test]
fn an_unknown_pool_is_refused_with_the_names_there_are() {
    let structure = structure(false);
    let refusal = Known::new(&structure, "esc", &[], []).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "pool `esc` does not exist; pools are ecs"
    );
    assert_eq!(refusal.complaints()[0].key, "name");
}

#[test]
fn whoever_registers_at_a_checked_pool_is_told_what_comes_first() {
    let structure = structure(true);
    let known = Known::new(&structure, "ecs", &[], []).unwrap();
    let told = |port| {
        let asked = [Registration::new(at(port), None).unwrap()];
        let change = register(&Live::default(), &known, &asked).unwrap();
        change.notes.join("; ")
    };
    assert_eq!(
        told(6),
        "a new target takes requests after its first good health check"
    );
    assert_eq!(told(1), "127.0.0.1:1 is a target with weight 1 already");
}

#[test]
fn a_weight_is_from_1_to_1000() {
    let weight = |weight| Registration::new(at(1), Some(weight)).map(drop);
    for wrong in [0, 1001, u64::MAX] {
        let expected = format!("must be a whole number from 1 to 1000, not {wrong}");
        assert_eq!(weight(wrong), Err(expected));
    }
    assert_eq!((weight(1), weight(1000)), (Ok(()), Ok(())));
}

#[test]
fn edits_are_told_to_whoever_reads_the_file_also_of_a_pool_that_left_it() {
    let mut bench = Bench::new();
    bench.register(&[(6, 0)]);
    bench.deregister(&[1], Bounds::Kept).unwrap();
    let edits = bench.live.targets["ecs"].clone();
    bench.live.targets.insert("gone".into(), edits);
    assert_eq!(
        standing_edits(&bench.live, &bench.structure),
        [
            "pool `ecs`: 1 registered and 1 deregistered targets stay so",
            "pool `gone` is not in the file: 1 registered and 1 deregistered targets are kept for its return",
        ]
    );
}

#[test]
fn a_line_of_the_journal_names_only_what_changed() {
    let mut bench = Bench::new();
    bench.register(&[(6, 4), (7, 1)]);
    let before = bench.live.clone();
    bench.register(&[(6, 5)]);
    bench.deregister(&[1], Bounds::Kept).unwrap();
    let written = serde_json::to_value(before.delta(&bench.live)).unwrap();
    let expected = serde_json::json!({ "routes": {}, "targets": { "ecs": {
        "127.0.0.1:1": { "before": null, "after": "deregistered" },
        "127.0.0.1:6": { "before": { "registered": 4 }, "after": { "registered": 5 } },
    }}});
    assert_eq!(written, expected);
}

#[derive(Clone, Debug)]
enum Step {
    Register(Vec<(u16, u32)>),
    Deregister(Vec<u16>, bool),
    Other,
}

fn step() -> impl Strategy<Value = Step> {
    let port = 1..10u16;
    prop_oneof![
        prop::collection::vec((port.clone(), 0..4u32), 1..4).prop_map(Step::Register),
        (prop::collection::vec(port, 1..4), any::<bool>())
            .prop_map(|(ports, force)| Step::Deregister(ports, force)),
        Just(Step::Other),
    ]
}

fn take(bench: &mut Bench, step: &Step) -> Option<Change> {
    match step {
        Step::Register(asked) => bench.try_register(asked).ok(),
        Step::Deregister(ports, true) => bench.deregister(ports, Bounds::Overridden).ok(),
        Step::Deregister(ports, false) => bench.deregister(ports, Bounds::Kept).ok(),
        Step::Other => None,
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_so_and_what_is_refused_changes_nothing(steps in prop::collection::vec(step(), 1..30)) {
        let mut bench = Bench::new();
        for step in steps {
            let before = bench.live.clone();
            let change = take(&mut bench, &step);
            let targets = bench.known().targets(&edits(&bench.live, &bench.known()));
            match (&step, change) {
                (Step::Register(asked), Some(_)) => {
                    prop_assert!(asked.iter().all(|(port, _)| targets.contains_key(&at(*port))));
                }
                (Step::Deregister(ports, _), Some(_)) => {
                    prop_assert!(!ports.iter().any(|port| targets.contains_key(&at(*port))));
                }
                (_, _) => prop_assert_eq!(&before, &bench.live),
            }
        }
    }

    #[test]
    fn a_change_of_targets_is_replayed_from_its_line_and_counts_one(steps in prop::collection::vec(step(), 1..30)) {
        let mut bench = Bench::new();
        for step in steps {
            let before = bench.live.clone();
            let Some(change) = take(&mut bench, &step) else { continue };
            let same = before.targets == change.live.targets;
            prop_assert_eq!(change.live.revision, before.revision + u64::from(!same));
            let line = serde_json::to_string(&before.delta(&change.live)).unwrap();
            let mut replayed = before;
            replayed.apply(change.live.revision, &serde_json::from_str(&line).unwrap());
            prop_assert_eq!(&replayed, &change.live);
            for edits in replayed.targets.values() {
                prop_assert_ne!(edits, &TargetEdits::default());
                prop_assert!(!edits.registered.keys().any(|at| edits.deregistered.contains(at)));
            }
        }
    }

    #[test]
    fn asking_twice_is_asking_once(steps in prop::collection::vec(step(), 1..30)) {
        let mut bench = Bench::new();
        for step in steps {
            if take(&mut bench, &step).is_none() { continue }
            let once = bench.live.clone();
            // What nobody else names is gone after once, and unknown then.
            drop(take(&mut bench, &step));
            prop_assert_eq!(once, bench.live.clone());
        }
    }

    #[test]
    fn taking_out_and_in_again_leaves_no_edit(port in 1..4u16) {
        let mut bench = Bench::new();
        bench.deregister(&[port], Bounds::Kept).unwrap();
        bench.register(&[(port, 0)]);
        prop_assert!(bench.live.targets.is_empty());
    }
}
