//! What the pools answer: what a scenario says of both, and the harm that one of them does meanwhile.

use std::time::{Duration, UNIX_EPOCH};

use config::decision::{Decision, Reason};
use config::ids::{ListenerId, PoolId, RouteId};
use config::live;
use config::model::Failover;
use config::problem::{Fault, Path};
use config::scenario::{Answers, Scenario};
use config::snapshot::Structure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};

use super::clients::Client;
use super::harm::Harms;
use super::stage::{Begun, Sides};
use crate::control::Health;
use crate::record::{Cause, Head, Record, Traits, Upstream};

/// All pools of the route.
pub(super) struct Pools<'a> {
    chance: StdRng,
    answers: Answers,
    times: LogNormal<f64>,
    harm: Harms<'a>,
    stable: PoolId,
    canary: PoolId,
    canary_name: String,
    failover: Failover,
    /// By pool: targets, and whether all of them are gone.
    targets: Vec<(usize, bool)>,
    record: Record,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// It is an error that would not have been one without harm.
    pub(super) is_extra: bool,
    /// Harm has touched it: an error, or a time.
    pub(super) is_harmed: bool,
    /// How long the pool chosen was busy with it; 0 when it did not serve.
    pub(super) busy: Duration,
}

impl<'a> Pools<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        structure: &Structure,
        route: RouteId,
        begin: u64,
        seed: u64,
    ) -> Result<Self, Fault> {
        let settings = &structure.routes[route.0 as usize].settings;
        let id = |name: &str| structure.pool_named(name).map(|pool| pool.id);
        let stable = id(settings.stable_pool()).unwrap_or(PoolId(0));
        let median_ms = scenario.answers.median.0.as_secs_f64() * 1e3;
        let times = LogNormal::new(median_ms.max(1e-3).ln(), scenario.answers.spread);
        let targets = structure.pools.iter();
        Ok(Self {
            chance: StdRng::seed_from_u64(seed ^ 0x706f_6f6c_7300),
            answers: scenario.answers,
            times: times.map_err(|error| {
                let path = Path::default().key("answers").key("spread");
                path.fault(error.to_string())
            })?,
            harm: Harms::new(scenario, structure, route, begin)?,
            stable,
            canary: live::ramped(settings).and_then(id).unwrap_or(stable),
            canary_name: live::ramped(settings).unwrap_or_default().to_owned(),
            failover: settings.failover,
            // Of a pool whose targets are found there is one, at least.
            targets: targets
                .map(|pool| (pool.targets.len().max(1), false))
                .collect(),
            record: record(),
        })
    }

    /// A second begins; what harm begins or ends with it.
    pub(super) fn turn(&mut self, now: u64, begun: &Begun) -> Vec<String> {
        let told = self.harm.turn(now, begun);
        if !told.is_empty() {
            for (position, (_, is_down)) in self.targets.iter_mut().enumerate() {
                *is_down = self.harm.on(PoolId(position as u16)).any(|harm| harm.down);
            }
        }
        told
    }

    /// What becomes of a request with this decision; `record` has it then as a router would write it down.
    pub(super) fn answer(&mut self, mut decision: Decision, client: &Client) -> Answer {
        self.record.switched_from = None;
        self.record.error = None;
        let Some(choice) = &mut decision.choice else {
            return Answer::default();
        };
        let chosen = choice.pool;
        let stable_serves = self.failover == Failover::Stable && !self.is_down(self.stable);
        if self.is_down(chosen) && chosen != self.stable && stable_serves {
            choice.pool = self.stable;
            choice.reason = Reason::Failover;
            self.record.switched_from = Some(chosen);
        }
        let served = choice.pool;
        self.record.decision = Some(decision);
        if self.is_down(served) {
            self.record.upstream = None;
            self.record.error = Some(Cause::NoTarget);
            return Answer {
                status: Cause::NoTarget.status(),
                is_extra: true,
                is_harmed: true,
                busy: Duration::ZERO,
            };
        }
        let (answer, slower) = self.serve(served, client);
        let time_ms = self.times.sample(&mut self.chance) * slower;
        let time = Duration::from_secs_f64(time_ms / 1e3);
        self.record.upstream = Some(Upstream {
            address: ([127, 0, 0, 1], 1).into(),
            connect: None,
            ttfb: Some(time),
            status: Some(answer.status),
        });
        Answer {
            is_harmed: answer.is_harmed || self.record.switched_from.is_some(),
            busy: if served == chosen {
                time
            } else {
                Duration::ZERO
            },
            ..answer
        }
    }

    /// The answer of `pool`, and how many times slower than usual it is.
    fn serve(&mut self, pool: PoolId, client: &Client) -> (Answer, f64) {
        let usual = (self.answers.errors, self.answers.client_errors);
        let (errors, client_errors) = client.fate.unwrap_or(usual);
        let usual = status(self.chance.random(), errors, client_errors);
        let mut answer = Answer {
            status: usual,
            ..Answer::default()
        };
        let mut slower = 1.0;
        for harm in self.harm.on(pool) {
            if client.lot >= harm.clients {
                continue;
            }
            slower *= harm.slower;
            let worse = status(self.chance.random(), harm.errors, harm.client_errors);
            answer.status = answer.status.max(worse);
            answer.is_harmed |= harm.slower > 1.0;
        }
        answer.is_extra = answer.status != usual;
        answer.is_harmed |= answer.is_extra;
        (answer, slower)
    }

    fn is_down(&self, pool: PoolId) -> bool {
        self.targets[usize::from(pool.0)].1
    }

    /// The last request, as a router would write it down.
    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// The stable pool.
    pub(super) const fn stable_id(&self) -> PoolId {
        self.stable
    }

    /// What is seen of canary and stable without a request.
    pub(super) fn sides(&self) -> Sides {
        Sides {
            canary: self.health_of(self.canary),
            stable: self.health_of(self.stable),
            probe: self.probe(),
        }
    }

    /// What targets of the canary answer to the ramp's probe, in no time.
    fn probe(&self) -> Result<(), String> {
        let name = &self.canary_name;
        if self.is_down(self.canary) {
            return Err(format!("pool `{name}` has no healthy target"));
        }
        let fails = self.harm.on(self.canary).any(|harm| harm.probe_fails);
        match fails {
            true => Err(format!("pool `{name}`: 503, expected 200-299")),
            false => Ok(()),
        }
    }

    fn health_of(&self, pool: PoolId) -> Health {
        let (total, is_down) = self.targets[usize::from(pool.0)];
        Health {
            healthy: if is_down { 0 } else { total },
            total,
            minute_ago: total,
        }
    }
}

fn status(drawn: f64, errors: f64, client_errors: f64) -> u16 {
    match drawn {
        drawn if drawn < errors => 500,
        drawn if drawn < errors + client_errors => 404,
        _ => 200,
    }
}

/// What all requests have in common, which is nothing that a guard looks at.
fn record() -> Record {
    Record {
        started: UNIX_EPOCH,
        duration: Duration::ZERO,
        listener: ListenerId(0),
        local: ([127, 0, 0, 1], 0).into(),
        client_ip: [127, 0, 0, 1].into(),
        client_port: None,
        protocol: None,
        grpc: false,
        tls: None,
        secure: false,
        head: Head::default(),
        status: 200,
        error: None,
        traits: Traits::default(),
        bytes_in: 0,
        bytes_out: 0,
        dispatched: None,
        rewritten: None,
        upstream: None,
        attempts: 1,
        decision: None,
        switched_from: None,
        retries: Vec::new(),
        fail_open: false,
        shadow: None,
        cookie_dup: None,
    }
}
