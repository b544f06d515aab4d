//! What targets of canaries answer to the probes of ramps. They are asked aside, so that no ramp waits for another's targets.

use std::collections::HashMap;
use std::time::Duration;

use canary::ramp::Probed;
use config::live::LiveRamp;
use config::model;
use config::probe::Probe;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::control::House;

/// So long before the time of a step is over it is asked for the first time: the answer is there when it is needed.
const AHEAD: Duration = Duration::from_secs(5);
/// From one answer to the next question.
const AGAIN: Duration = Duration::from_secs(5);

/// Whether targets are asked now, in a step that was `held` for so long.
pub(crate) fn is_probed(settings: &model::Ramp, ramp: &LiveRamp, held: Duration) -> bool {
    let hold_s = ramp.current().map_or(0, |step| step.hold_s);
    let is_due = held + AHEAD >= Duration::from_secs(hold_s);
    !settings.probe.is_none() && !ramp.is_last() && is_due
}

/// The probes of all ramps that run, by route.
#[derive(Default)]
pub(super) struct Probes(pub(super) HashMap<String, Asked>);

/// The probe of one step.
pub(super) struct Asked {
    probe: Probe,
    /// The revision that brought the step.
    since: u64,
    running: Option<JoinHandle<Result<(), String>>>,
    pub(super) last: Option<(Instant, Result<(), String>)>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

impl Probes {
    /// What is known of the probe of `route`, whose step was `held` for so long; asks when it is time to.
    pub(super) async fn look(
        &mut self,
        house: &dyn House,
        route: &str,
        (settings, ramp): (&model::Ramp, &LiveRamp),
        held: Duration,
    ) -> Probed {
        if !is_probed(settings, ramp, held) {
            self.0.remove(route);
            return Probed::Unasked;
        }
        let is_of = |asked: &Asked| asked.probe == settings.probe && asked.since == ramp.since;
        let known = self.0.remove(route).filter(is_of);
        let mut asked = known.unwrap_or_else(|| Asked {
            probe: settings.probe.clone(),
            since: ramp.since,
            running: None,
            last: None,
        });
        asked.take_answer().await;
        asked.ask_again(house, &ramp.canary);
        let probed = asked.told();
        self.0.insert(route.to_owned(), asked);
        probed
    }

    /// Forgets the ramps that run no more.
    pub(super) fn retain(&mut self, runs: impl Fn(&str) -> bool) {
        self.0.retain(|route, _| runs(route));
    }
}

impl Asked {
    async fn take_answer(&mut self) {
        let Some(running) = self.running.take_if(|running| running.is_finished()) else {
            return;
        };
        let answer = running.await.unwrap_or_else(|error| Err(error.to_string()));
        self.last = Some((Instant::now(), answer));
    }

    fn ask_again(&mut self, house: &dyn House, canary: &str) {
        let is_fresh = |(at, _): &(Instant, _)| at.elapsed() < AGAIN;
        if self.running.is_some() || self.last.as_ref().is_some_and(is_fresh) {
            return;
        }
        match house.probe(canary, &self.probe) {
            Some(probing) => self.running = Some(tokio::spawn(probing)),
            None => {
                let gone = format!("there is no pool `{canary}`");
                self.last = Some((Instant::now(), Err(gone)));
            }
        }
    }

    fn told(&self) -> Probed {
        match &self.last {
            None => Probed::Pending,
            Some((_, Ok(()))) => Probed::Fine,
            Some((_, Err(seen))) => Probed::Failed(seen.clone()),
        }
    }
}
