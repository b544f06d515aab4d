//! The ramp of the route, by the second, and what the operator does about it.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use canary::ramp::{Due, Missing, Probed, due};
use config::live::{self, Bounds, Latch, Phase, RampOrder, Refusal};
use jiff::Timestamp;

use super::steady::Steady;
use super::{Event, Sides, Stage};
use crate::control::{Around, may_turn};
use crate::ramp::{is_probed, order, reason, sight, words};

/// How a ramp gets on.
pub(super) struct Course {
    /// Attempt and step that were looked at last, and for how many seconds they were held.
    held: (u32, usize, u64),
    /// Since when it waits for `advance` alone.
    waits: Option<u64>,
    /// Since when it is taken back.
    back: Option<u64>,
    missing: Steady<Vec<Discriminant<Missing>>>,
    refused: Option<Discriminant<Refusal>>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            held: (0, 0, 0),
            waits: None,
            back: None,
            missing: Steady::new(Vec::new()),
            refused: None,
        }
    }
}

impl Stage {
    /// One look of the ramp, and then of the operator.
    pub(super) fn ramp(&mut self, now: u64, sides: &Sides, events: &mut Vec<Event>) {
        if self.route.ramp.is_none() {
            return;
        }
        let held = self.hold();
        let around = Around {
            now: Timestamp::from_second(now as i64).unwrap_or_default(),
            canary: Some(sides.canary),
            stable: Some(sides.stable),
            guard: self.view.take(),
            probe: self.probed(held, &sides.probe),
        };
        self.carry_on(now, held, &around, events);
        self.operate(now, &around, &sides.probe, events);
        self.view = around.guard;
    }

    /// How long the step was held, with the second that is over.
    fn hold(&mut self) -> Duration {
        let Some(ramp) = self.live_ramp().filter(|_| self.is_running()) else {
            return Duration::ZERO;
        };
        let (attempt, step) = (ramp.attempt, ramp.step);
        let seconds = match self.ramp.held {
            (of, at, seconds) if (of, at) == (attempt, step) => seconds + 1,
            _ => 0,
        };
        self.ramp.held = (attempt, step, seconds);
        Duration::from_secs(seconds)
    }

    /// What the ramp knows of its probe: what would be answered now, from when on it is asked.
    fn probed(&self, held: Duration, answer: &Result<(), String>) -> Probed {
        let ramp = self.live_ramp().filter(|_| self.is_running());
        let Some((settings, ramp)) = self.route.ramp.as_ref().zip(ramp) else {
            return Probed::Unasked;
        };
        match answer {
            _ if !is_probed(settings, ramp, held) => Probed::Unasked,
            Ok(()) => Probed::Fine,
            Err(seen) => Probed::Failed(seen.clone()),
        }
    }

    /// As the ramp's task does every second.
    fn carry_on(&mut self, now: u64, held: Duration, around: &Around, events: &mut Vec<Event>) {
        self.ramp.waits = self.ramp.waits.take().filter(|_| self.is_running());
        let Some(ramp) = self.live_ramp().filter(|_| self.is_running()) else {
            return;
        };
        let due = due(&sight(&self.route, ramp, self.live_route(), held, around));
        let asked = order(ramp, &due).map(|order| (order, reason(ramp, order)));
        let waits = due == Due::Held(vec![Missing::Advance]);
        self.ramp.waits = waits.then(|| self.ramp.waits.unwrap_or(now));
        self.tell_missing(now, &due, events);
        if let Some((order, why)) = asked {
            self.turn(now, order, why, events);
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.position(), Some((Phase::Running, ..)))
    }

    fn tell_missing(&mut self, now: u64, due: &Due, events: &mut Vec<Event>) {
        let missing: &[Missing] = match due {
            Due::Held(missing) => missing,
            _ => &[],
        };
        let kinds = missing.iter().map(discriminant).collect();
        if let Some(kinds) = self.ramp.missing.see(now, kinds)
            && !kinds.is_empty()
        {
            let lacks = words(missing).join("; ");
            events.push(Event::Told(format!("held, it lacks {lacks}")));
        }
    }

    /// Asks for `order`; what came of it is told.
    fn turn(&mut self, now: u64, order: RampOrder, why: String, events: &mut Vec<Event>) -> bool {
        let turned =
            self.ask(|live, routes, name| live::ramp(live, routes, name, order, Bounds::Kept));
        match turned {
            Ok(change) => {
                self.apply(now, change);
                self.ramp.refused = None;
                self.ramp.missing = Steady::new(Vec::new());
                if let Some((Phase::Running, _, step)) = self.position() {
                    self.begun.note(step - 1, now);
                }
                events.push(Event::Told(why));
                true
            }
            Err(refusal) => {
                self.tell_refused(&refusal, events);
                false
            }
        }
    }

    fn tell_refused(&mut self, refusal: &Refusal, events: &mut Vec<Event>) {
        let kind = discriminant(refusal);
        if self.ramp.refused.replace(kind) != Some(kind) {
            events.push(Event::Told(format!("refused: {refusal}")));
        }
    }

    /// What the operator of the scenario does.
    fn operate(
        &mut self,
        now: u64,
        around: &Around,
        probe: &Result<(), String>,
        events: &mut Vec<Event>,
    ) {
        let operator = self.operator;
        let is_after = |since: Option<u64>, time: Option<config::units::Duration>| {
            let (Some(since), Some(time)) = (since, time) else {
                return false;
            };
            now >= since + time.0.as_secs()
        };
        let is_back = self.latch() == Latch::RolledBack;
        self.ramp.back = is_back.then(|| self.ramp.back.unwrap_or(now));
        match self.position() {
            None if is_after(Some(self.begin), Some(operator.start)) => {
                let turn = (RampOrder::Start, operator.cold);
                self.go(now, turn, around, probe, events);
            }
            Some((Phase::RolledBack, ..)) if is_after(self.ramp.back, operator.resume) => {
                self.lift(now, events);
            }
            // The mark is lifted, and the ramp may not be resumed at every hour.
            Some((Phase::RolledBack, ..)) if !is_back => {
                self.go(now, (RampOrder::Resume, false), around, probe, events);
            }
            Some((Phase::Running, ..)) if is_after(self.ramp.waits, operator.advance) => {
                self.turn(
                    now,
                    RampOrder::Advance,
                    "the operator advances".into(),
                    events,
                );
            }
            _ => {}
        }
    }

    /// Starts or resumes the ramp, when it may be; the guard may be cold by the order.
    fn go(
        &mut self,
        now: u64,
        (order, cold): (RampOrder, bool),
        around: &Around,
        probe: &Result<(), String>,
        events: &mut Vec<Event>,
    ) {
        let may = self.passes(probe);
        let may = may.and_then(|()| may_turn(&self.route, (order, Bounds::Kept, cold), around));
        if let Err(refusal) = may {
            return self.tell_refused(&refusal, events);
        }
        let verb = match order {
            RampOrder::Start => "starts",
            _ => "resumes",
        };
        let why = format!("the operator {verb} the ramp");
        self.turn(now, order, why, events);
    }

    /// Whether the canary answers the probe, which comes before all else when an operator asks.
    fn passes(&self, probe: &Result<(), String>) -> Result<(), Refusal> {
        let settings = self.route.ramp.as_ref();
        match probe {
            Err(seen) if settings.is_some_and(|ramp| !ramp.probe.is_none()) => {
                Err(Refusal::Unprobed {
                    route: self.route.name.clone(),
                    pool: live::ramped(&self.route).unwrap_or_default().to_owned(),
                    seen: seen.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn lift(&mut self, now: u64, events: &mut Vec<Event>) {
        if let Ok(change) = self.ask(live::resume) {
            self.apply(now, change);
            events.push(Event::Told("the operator lifts the mark".into()));
        }
    }
}
