//! What may become of a ramp, order by order.

use serde_json::json;

use super::*;
use crate::live::{drain, freeze, fresh, reload, restore, resume, rollback, set_weights};
use crate::model::{Config, StickyMode};

/// Toreta's schedule on a route from ec2 to ecs.
fn file() -> Config {
    serde_json::from_value(json!({
        "version": 1,
        "routes": [{
            "name": "web", "stable": "ec2", "weights": { "ec2": 100, "ecs": 0 },
            "ramp": { "steps": [
                { "percent": 1.0, "hold": "3d" }, { "percent": 10.0, "hold": "3d" },
                { "percent": 50.0, "hold": "3d" }, { "percent": 100.0, "hold": "7d" },
            ] },
        }],
    }))
    .unwrap()
}

struct Site {
    file: Config,
    live: Live,
}

impl Site {
    fn new() -> Self {
        let file = file();
        let live = fresh(&Routes::of(&file));
        Self { file, live }
    }

    fn ask(&mut self, order: RampOrder) -> Result<(), Refusal> {
        self.ask_within(order, Bounds::Kept)
    }

    fn ask_within(&mut self, order: RampOrder, bounds: Bounds) -> Result<(), Refusal> {
        let change = ramp(&self.live, &Routes::of(&self.file), "web", order, bounds)?;
        self.live = change.live;
        Ok(())
    }

    #[track_caller]
    fn done(&mut self, order: RampOrder, expected: (Phase, usize, [u32; 2])) {
        self.ask(order).unwrap();
        self.is(expected);
    }

    #[track_caller]
    fn is(&self, expected: (Phase, usize, [u32; 2])) {
        let route = &self.live.routes["web"];
        let ramp = route.ramp.as_ref().unwrap();
        let weights = [route.weights["ec2"], route.weights["ecs"]];
        assert_eq!((ramp.phase, ramp.step, weights), expected);
    }

    fn set(&mut self, ec2: u32, ecs: u32, bounds: Bounds) -> Result<(), Refusal> {
        let weights = Weights::from([("ec2".into(), ec2), ("ecs".into(), ecs)]);
        self.live = set_weights(&self.live, &Routes::of(&self.file), "web", &weights, bounds)?.live;
        Ok(())
    }

    fn rolled_back(&mut self) {
        self.live = rollback(&self.live, &Routes::of(&self.file), None)
            .unwrap()
            .live;
    }

    fn resumed(&mut self) {
        self.live = resume(&self.live, &Routes::of(&self.file), "web")
            .unwrap()
            .live;
    }
}

#[test]
fn a_schedule_passes_through_exactly_its_weights() {
    let mut site = Site::new();
    site.done(RampOrder::Start, (Phase::Running, 0, [99, 1]));
    site.done(RampOrder::Next(0), (Phase::Running, 1, [90, 10]));
    site.done(RampOrder::Next(1), (Phase::Running, 2, [50, 50]));
    site.done(RampOrder::Next(2), (Phase::Running, 3, [0, 100]));
    assert!(matches!(
        site.ask(RampOrder::Finalize),
        Err(Refusal::NotHeld { .. })
    ));
    assert!(matches!(
        site.ask(RampOrder::Advance),
        Err(Refusal::NoStepLeft { .. })
    ));
    site.done(RampOrder::Complete(3), (Phase::Complete, 3, [0, 100]));
    site.done(RampOrder::Finalize, (Phase::Finalized, 3, [0, 100]));
}

#[test]
fn a_step_is_taken_once_whoever_asks_twice() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    let revision = site.live.revision;
    site.done(RampOrder::Next(0), (Phase::Running, 1, [90, 10]));
    site.done(RampOrder::Next(0), (Phase::Running, 1, [90, 10]));
    assert_eq!(site.live.revision, revision + 1);
}

#[test]
fn a_rollback_from_each_step_latches_and_another_attempt_goes_on_there() {
    for step in 0..4 {
        let mut site = Site::new();
        site.ask(RampOrder::Start).unwrap();
        (0..step).for_each(|step| site.ask(RampOrder::Next(step)).unwrap());
        site.rolled_back();
        site.is((Phase::RolledBack, step, [100, 0]));
        site.done(RampOrder::Next(step), (Phase::RolledBack, step, [100, 0]));
        for order in [RampOrder::Resume, RampOrder::Start] {
            for bounds in [Bounds::Kept, Bounds::Overridden] {
                let refused = site.ask_within(order, bounds);
                assert!(
                    matches!(refused, Err(Refusal::RampIsMarked { .. })),
                    "{order:?} {bounds:?}: {refused:?}"
                );
            }
        }
        site.is((Phase::RolledBack, step, [100, 0]));
        site.resumed();
        site.is((Phase::RolledBack, step, [100, 0]));
        site.ask(RampOrder::Resume).unwrap();
        let ramp = site.live.routes["web"].ramp.clone().unwrap();
        assert_eq!(
            (ramp.phase, ramp.step, ramp.attempt),
            (Phase::Running, step, 2)
        );
    }
}

#[test]
fn a_frozen_ramp_goes_on_by_force_alone() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    site.live = freeze(&site.live, &Routes::of(&site.file), "web")
        .unwrap()
        .live;
    assert!(matches!(
        site.ask(RampOrder::Advance),
        Err(Refusal::Latched { .. })
    ));
    site.ask_within(RampOrder::Advance, Bounds::Overridden)
        .unwrap();
    site.is((Phase::Running, 1, [90, 10]));
}

#[test]
fn a_step_knows_the_revision_that_brought_it() {
    let mut site = Site::new();
    let since = |site: &Site| site.live.routes["web"].ramp.as_ref().unwrap().since;
    site.ask(RampOrder::Start).unwrap();
    assert_eq!((since(&site), site.live.revision), (2, 2));
    site.ask(RampOrder::Pause).unwrap();
    site.ask(RampOrder::Resume).unwrap();
    assert_eq!(since(&site), 2, "a pause begins no step");
    site.ask(RampOrder::Advance).unwrap();
    assert_eq!((since(&site), site.live.revision), (5, 5));
    site.rolled_back();
    site.resumed();
    site.ask(RampOrder::Resume).unwrap();
    assert_eq!(since(&site), 8, "another attempt does");
    // Out of the file and in again: another ramp, whatever its numbers are.
    let whole = site.file.clone();
    Arc::make_mut(&mut site.file.routes[0]).name = "other".into();
    site.live = reload(&site.live, &Routes::of(&site.file)).live;
    site.file = whole;
    site.live = reload(&site.live, &Routes::of(&site.file)).live;
    site.done(RampOrder::Start, (Phase::Running, 0, [99, 1]));
    assert_eq!(since(&site), 11);
}

#[test]
fn nothing_raises_the_canary_above_the_step_of_a_ramp_that_runs_but_force() {
    let mut site = Site::new();
    site.set(80, 20, Bounds::Kept).unwrap();
    let earlier = site.live.clone();
    site.set(100, 0, Bounds::Kept).unwrap();
    site.ask(RampOrder::Start).unwrap();
    let back = |site: &Site, bounds| {
        let change = restore(&site.live, &Routes::of(&site.file), &earlier, bounds);
        change.map(|change| change.live)
    };
    assert!(matches!(
        back(&site, Bounds::Kept),
        Err(Refusal::AheadOfRamp { .. })
    ));
    let mut other = site.file.clone();
    Arc::make_mut(&mut other.routes[0]).weights =
        serde_json::from_value(json!({ "ec2": 80, "ecs": 20 })).unwrap();
    let held = reload(&site.live, &Routes::of(&other)).held;
    assert!(
        held[0].reason.contains("kanaria ramp pause web"),
        "{held:?}"
    );
    site.live = back(&site, Bounds::Overridden).unwrap();
    site.is((Phase::Paused, 0, [80, 20]));
    let change = reload(&site.live, &Routes::of(&other));
    assert_eq!(change.held, [], "a ramp that is paused holds no file back");
}

/// A route with a second canary, and the ramp on the first.
fn two_canaries(ec2: u32, ecs: u32, lambda: u32) -> Site {
    let mut file = file();
    let route = Arc::make_mut(&mut file.routes[0]);
    route.weights =
        serde_json::from_value(json!({ "ec2": ec2, "ecs": ecs, "lambda": lambda })).unwrap();
    route.ramp.as_mut().unwrap().canary = Some("ecs".into());
    let live = fresh(&Routes::of(&file));
    Site { file, live }
}

#[test]
fn a_ramp_leaves_other_canaries_what_they_have() {
    let mut site = two_canaries(7, 0, 3);
    site.ask(RampOrder::Start).unwrap();
    let expected = |pairs: [(&str, u32); 3]| Weights::from(pairs.map(|(k, v)| (k.to_owned(), v)));
    let weights = |site: &Site| site.live.routes["web"].weights.clone();
    assert_eq!(
        weights(&site),
        expected([("ec2", 69), ("ecs", 1), ("lambda", 30)])
    );
    site.ask(RampOrder::Next(0)).unwrap();
    site.ask(RampOrder::Next(1)).unwrap();
    assert_eq!(
        weights(&site),
        expected([("ec2", 20), ("ecs", 50), ("lambda", 30)])
    );
    let no_room = site.ask(RampOrder::Next(2)).unwrap_err();
    assert_eq!(
        no_room.to_string(),
        "route `web`: its other canaries have 30 %, which leaves no room for a step of 100 %; lower them first"
    );
    let mut site = two_canaries(2, 0, 1);
    site.ask(RampOrder::Start).unwrap();
    assert_eq!(
        weights(&site),
        expected([("ec2", 6_567), ("ecs", 100), ("lambda", 3_333)])
    );
}

#[test]
fn a_drained_pool_gives_the_canary_of_a_ramp_nothing() {
    let mut site = two_canaries(60, 0, 40);
    Arc::make_mut(&mut site.file.routes[0]).sticky.mode = StickyMode::Pin;
    site.ask(RampOrder::Start).unwrap();
    let drained = |bounds| {
        let routes = Routes::of(&site.file);
        drain(&site.live, &routes, "web", "lambda", bounds).map(drop)
    };
    assert!(matches!(
        drained(Bounds::Kept),
        Err(Refusal::AheadOfRamp { .. })
    ));
    drained(Bounds::Overridden).unwrap();
}

#[test]
fn a_pause_keeps_the_weights_and_waits() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    site.done(RampOrder::Pause, (Phase::Paused, 0, [99, 1]));
    site.done(RampOrder::Next(0), (Phase::Paused, 0, [99, 1]));
    site.done(RampOrder::Resume, (Phase::Running, 0, [99, 1]));
    site.ask(RampOrder::Pause).unwrap();
    site.done(RampOrder::Advance, (Phase::Running, 1, [90, 10]));
    site.rolled_back();
    site.is((Phase::RolledBack, 1, [100, 0]));
}

#[test]
fn a_lower_weight_wins_and_a_higher_one_needs_force() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    site.ask(RampOrder::Next(0)).unwrap();
    assert!(matches!(
        site.set(80, 20, Bounds::Kept),
        Err(Refusal::AheadOfRamp { .. })
    ));
    site.set(95, 5, Bounds::Kept).unwrap();
    site.is((Phase::Paused, 1, [95, 5]));
    site.done(RampOrder::Resume, (Phase::Running, 1, [90, 10]));
    site.set(80, 20, Bounds::Overridden).unwrap();
    site.is((Phase::Paused, 1, [80, 20]));
}

#[test]
fn a_start_takes_nothing_away() {
    for (ecs, step, weights) in [
        (0, 0, [99, 1]),
        (5, 1, [90, 10]),
        (10, 1, [90, 10]),
        (100, 3, [0, 100]),
    ] {
        let mut site = Site::new();
        site.set(100 - ecs, ecs, Bounds::Kept).unwrap();
        site.done(RampOrder::Start, (Phase::Running, step, weights));
        assert!(matches!(
            site.ask(RampOrder::Start),
            Err(Refusal::RampIsOn { .. })
        ));
    }
}

#[test]
fn what_was_not_started_cannot_be_turned() {
    for order in [
        RampOrder::Advance,
        RampOrder::Pause,
        RampOrder::Resume,
        RampOrder::Finalize,
    ] {
        assert!(
            matches!(Site::new().ask(order), Err(Refusal::RampIsOff { .. })),
            "{order:?}"
        );
    }
    let mut site = Site::new();
    Arc::make_mut(&mut site.file.routes[0]).ramp = None;
    assert!(matches!(
        site.ask(RampOrder::Start),
        Err(Refusal::NoRamp { .. })
    ));
}

#[test]
fn the_file_of_a_running_ramp_may_change_its_schedule_for_the_next_one() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    let route = Arc::make_mut(&mut site.file.routes[0]);
    route.ramp.as_mut().unwrap().steps.remove(1);
    site.live = reload(&site.live, &Routes::of(&site.file)).live;
    site.done(RampOrder::Next(0), (Phase::Running, 1, [90, 10]));
}

#[test]
fn parts_of_a_percent_are_weights_of_ten_thousand() {
    let site = Site::new();
    let step = Planned {
        share: 25,
        hold_s: 1,
    };
    let route = &site.live.routes["web"];
    let weights = weights_of(&site.file.routes[0], &route.weights, "ecs", step).unwrap();
    assert_eq!((weights["ec2"], weights["ecs"]), (9_975, 25));
}
