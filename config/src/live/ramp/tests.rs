//! What may become of a ramp, order by order.

use serde_json::json;

use super::*;
use crate::live::{fresh, resume, rollback, set_weights};
use crate::model::Config;

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
        let change = ramp(
            &self.live,
            &Routes::of(&self.file),
            "web",
            order,
            Bounds::Kept,
        )?;
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
        assert!(matches!(
            site.ask(RampOrder::Resume),
            Err(Refusal::Latched { .. })
        ));
        assert!(matches!(
            site.ask(RampOrder::Start),
            Err(Refusal::Latched { .. })
        ));
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
    site.file.routes[0].ramp = None;
    assert!(matches!(
        site.ask(RampOrder::Start),
        Err(Refusal::NoRamp { .. })
    ));
}

#[test]
fn the_file_of_a_running_ramp_may_change_its_schedule_for_the_next_one() {
    let mut site = Site::new();
    site.ask(RampOrder::Start).unwrap();
    site.file.routes[0].ramp.as_mut().unwrap().steps.remove(1);
    site.live = crate::live::reload(&site.live, &Routes::of(&site.file)).live;
    site.done(RampOrder::Next(0), (Phase::Running, 1, [90, 10]));
}

#[test]
fn parts_of_a_percent_are_weights_of_ten_thousand() {
    let site = Site::new();
    let step = Planned {
        share: 25,
        hold_s: 1,
    };
    let weights = weights_of(&site.file.routes[0], "ecs", step);
    assert_eq!((weights["ec2"], weights["ecs"]), (9_975, 25));
}
