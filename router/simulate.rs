//! A migration before it happens: made-up clients ask, on a clock of its own, and the file's rules, the guard and the ramp act.
//!
//! Nothing that judges is made anew here. A request is decided by `Snapshot::decide`, counted by the `Witness` of a
//! route, judged by the `Watch` that runs in a router, and steps are taken by what `ramp` and `config::live` say.
//! What is made up is who asks, what the pools answer, and the time. What is left out is said in the report.

mod asked;
mod bounds;
mod clients;
mod crowd;
mod harm;
mod left_out;
mod pools;
mod report;
mod stage;
mod tally;

use std::sync::Arc;

use config::bucket::Secret;
use config::decision::Decision;
use config::facts::Facts;
use config::ids::{ListenerId, PoolId, RouteId};
use config::problem::{Fault, Path};
use config::scenario::Scenario;
use config::snapshot::Structure;
use jiff::Timestamp;

use crate::entropy::Seeded;
use crate::witness::Observation;

use asked::Asked;
use bounds::Bounds;
use clients::{Client, Sent};
use crowd::Crowd;
use left_out::left_out;
use pools::Pools;
pub use report::{Expected, Outcome, Report, Row, Seen, Summary};
use stage::{Event, Stage};
use tally::Tally;

/// What is simulated.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The file.
    pub structure: Arc<Structure>,
    /// What places clients: the router's own secret, or another one.
    pub secret: Secret,
    /// The route that is looked at.
    pub route: RouteId,
    /// What happens.
    pub scenario: &'a Scenario,
    /// What chance begins with: the same seed, the same run.
    pub seed: u64,
}

/// Runs `setup` to its end. `progress` is told the part that is over, once a virtual hour; `tell` of every request.
///
/// # Errors
/// What the scenario asks for and the file does not have.
pub fn simulate(
    setup: &Setup<'_>,
    progress: &mut dyn FnMut(f64),
    tell: &mut dyn FnMut(&Seen<'_>),
) -> Result<Report, Fault> {
    let left_out = left_out(&setup.structure, setup.route, setup.scenario);
    let mut run = Run::new(setup, tell)?;
    while !run.is_over() {
        run.second();
        if run.now % 3_600 == 0 {
            progress((run.now - run.begin) as f64 / (run.end - run.begin) as f64);
        }
    }
    Ok(Report {
        left_out,
        ..run.report(setup.seed)
    })
}

/// A run under way.
struct Run<'a> {
    scenario: &'a Scenario,
    begin: u64,
    now: u64,
    end: u64,
    asked: Asked,
    crowd: Crowd,
    fresh: Seeded,
    pools: Pools<'a>,
    bounds: Bounds,
    stage: Stage,
    tally: Tally,
    tell: &'a mut dyn FnMut(&Seen<'_>),
}

impl<'a> Run<'a> {
    fn new(setup: &Setup<'a>, tell: &'a mut dyn FnMut(&Seen<'_>)) -> Result<Self, Fault> {
        let Setup {
            structure,
            scenario,
            route,
            seed,
            ..
        } = setup;
        let start = scenario.start.parse::<Timestamp>().map_err(|error| {
            let path = Path::default().key("start");
            path.fault(error.to_string())
        })?;
        let begin = u64::try_from(start.as_second()).unwrap_or_default();
        let stage = Stage::new(setup, begin)?;
        let asked = Asked::of(structure, *route, &scenario.request);
        asked.check(stage.snapshot(), *route)?;
        let crowd = Crowd::new(scenario, stage.snapshot(), *route, begin, *seed)?;
        let pools = Pools::new(scenario, structure, *route, begin, *seed)?;
        Ok(Self {
            scenario,
            begin,
            now: begin,
            end: begin + length(scenario, &stage),
            asked,
            crowd,
            fresh: Seeded::new(*seed),
            bounds: Bounds::new(structure, *route, pools.stable_id(), *seed),
            tally: Tally::new(begin, pools.stable_id(), &stage),
            pools,
            stage,
            tell,
        })
    }

    /// Whether the time is up, or nothing more can happen.
    fn is_over(&self) -> bool {
        self.now >= self.end
            || (self.scenario.length.0.is_zero() && self.stage.is_settled(self.now))
    }

    /// One second: its requests, then whoever looks at them.
    fn second(&mut self) {
        for harm in self.pools.turn(self.now, self.stage.begun()) {
            self.tally.tell(self.now, &Event::Told(harm), &self.stage);
        }
        let mut arrivals = self.crowd.arrivals(self.now);
        self.bounds.spread(&mut arrivals, self.now - self.begin);
        for (position, at) in arrivals.iter().enumerate() {
            self.request(*at, position);
        }
        self.crowd.reuse(arrivals);
        self.now += 1;
        for event in self.stage.second(self.now, &self.pools.sides()) {
            self.tally.tell(self.now, &event, &self.stage);
        }
        self.tally.look(&self.stage);
    }

    /// The request of the client at `at`, which is at `position` among those of its second.
    fn request(&mut self, at: crowd::At, position: usize) {
        let client = self.crowd.client(at, self.now);
        let Some(decision) = decide(&self.asked, &self.stage, &self.fresh, client, self.now) else {
            return;
        };
        let entered = self.bounds.enter(decision, position);
        let (is_over, served) = (entered.is_over(), entered.decision);
        let answer = self.pools.answer(served, client);
        self.bounds.hold(entered, position, answer.busy);
        let record = self.pools.record();
        let (Some(chosen), Some(choice)) = (decision.choice, served.choice) else {
            return;
        };
        if let Some(seen) = Observation::of(record, self.pools.stable_id()) {
            self.stage.witness().observe(&seen);
        }
        let moved = client.keep(&decision, choice.pool, self.stage.snapshot(), self.now);
        self.tally.count(client, &choice, &answer, moved, self.now);
        (self.tell)(&Seen {
            time: self.now,
            client: client.number,
            id: client.id,
            revision: self.stage.snapshot().revision,
            pool: &self.stage.snapshot().pool(choice.pool).name,
            reason: choice.reason.as_str(),
            bucket: choice.bucket,
            status: answer.status,
        });
        if is_over && choice.flag.is_none() {
            self.over(chosen.pool);
        }
    }

    /// A request that was placed on `canary` went to stable, for the canary had enough.
    fn over(&mut self, canary: PoolId) {
        self.tally.over();
        let revision = self.stage.snapshot().revision;
        if let Some(told) = self.bounds.tell(canary, revision) {
            self.tally.tell(self.now, &Event::Told(told), &self.stage);
        }
    }

    fn report(self, seed: u64) -> Report {
        let mut report = self.tally.report(self.now, &self.stage);
        report.seed = seed;
        report.about = self.scenario.about.clone();
        report
    }
}

/// Where a request of `client` goes; `None` when the route does not take it, as one with a cookie that its match names may not.
fn decide(
    asked: &Asked,
    stage: &Stage,
    fresh: &Seeded,
    client: &Client,
    now: u64,
) -> Option<Decision> {
    let decision = stage.snapshot().decide(&Facts {
        listener: ListenerId(0),
        method: &asked.method,
        host: &asked.host,
        path: &asked.path,
        query: asked.query.as_deref(),
        fields: &Sent {
            cookies: &client.cookies,
            fields: &asked.fields,
        },
        source_ip: client.address,
        client_ip: client.address,
        trusted: false,
        now,
        fresh,
    });
    (decision.route == Some(stage.route_id())).then_some(decision)
}

/// Seconds to run at most.
fn length(scenario: &Scenario, stage: &Stage) -> u64 {
    const DAY: u64 = 86_400;
    let asked = scenario.length.0.as_secs();
    match (asked, stage.planned_s()) {
        (0, None) => DAY,
        // Held for evidence or for the hours of its window, a ramp takes longer than it says.
        (0, Some(planned)) => scenario.operator.start.0.as_secs() + 2 * planned + 7 * DAY,
        (asked, _) => asked,
    }
}

#[cfg(test)]
mod tests;
