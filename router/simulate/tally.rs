//! What is counted of a simulation: by row of its timeline, and all in all.

use config::decision::Choice;
use config::ids::PoolId;
use config::live::{Latch, Phase};
use jiff::Timestamp;

use super::clients::{Client, Moved};
use super::pools::Answer;
use super::report::{Outcome, Report, Row, Summary};
use super::stage::{Event, Stage};

/// The counts.
pub(super) struct Tally {
    begin: u64,
    stable: PoolId,
    rows: Vec<Row>,
    open: Open,
    summary: Summary,
    harm_began: Option<u64>,
}

/// The row that is under way.
struct Open {
    time: u64,
    row: Row,
    canary_requests: u64,
    users: u64,
    canary_users: u64,
}

impl Tally {
    pub(super) fn new(begin: u64, stable: PoolId, stage: &Stage) -> Self {
        let mut open = Open::new(begin, begin, stage);
        open.row.what.push("begin".into());
        Self {
            begin,
            stable,
            rows: Vec::new(),
            open,
            summary: Summary::default(),
            harm_began: None,
        }
    }

    /// A request of `client`. Whoever chose a pool by a flag is no sample of all, here as for the guard.
    pub(super) fn count(
        &mut self,
        client: &mut Client,
        choice: &Choice,
        answer: &Answer,
        moved: Option<Moved>,
        now: u64,
    ) {
        if choice.flag.is_some() {
            return;
        }
        let is_canary = choice.pool != self.stable;
        self.summary.requests += 1;
        self.open.row.n_requests += 1;
        if is_canary {
            self.summary.canary_requests += 1;
            self.open.canary_requests += 1;
            self.summary.extra_errors += u64::from(answer.is_extra);
            if answer.is_harmed {
                self.harm_began.get_or_insert(now);
            }
        }
        if let Some(moved) = moved {
            match moved.to == self.stable {
                true => self.summary.moved_back += 1,
                false => self.summary.moved_to_canary += 1,
            }
        }
        if client.has_jar {
            self.user(client, is_canary);
        }
    }

    /// A request that was placed on a canary went to stable, for the canary had enough.
    pub(super) const fn over(&mut self) {
        self.summary.over_cap += 1;
        self.open.row.over_cap += 1;
    }

    fn user(&mut self, client: &mut Client, is_canary: bool) {
        let row = Some(self.rows.len() as u32);
        let is_new = client.rows[0].is_none();
        self.summary.users += u64::from(is_new);
        if std::mem::replace(&mut client.rows[0], row) != row {
            self.open.users += 1;
        }
        if !is_canary {
            return;
        }
        if std::mem::replace(&mut client.rows[1], row) != row {
            self.open.canary_users += 1;
        }
        if !std::mem::replace(&mut client.has_seen_canary, true) {
            self.summary.users_on_canary += 1;
        }
    }

    /// Something happened, of which a row is to tell.
    pub(super) fn tell(&mut self, now: u64, event: &Event, stage: &Stage) {
        let what = match event {
            Event::Trip(why) => {
                self.summary.trips.push(why.clone());
                format!("the guard trips: {why}")
            }
            Event::Back(what) => {
                self.summary.rollbacks += 1;
                if let Some(began) = self.harm_began {
                    self.summary.reaction_s.get_or_insert(now - began);
                }
                what.clone()
            }
            Event::Told(what) => what.clone(),
        };
        if self.open.time != now {
            let next = Open::new(self.begin, now, stage);
            let before = std::mem::replace(&mut self.open, next);
            self.rows.push(before.closed());
        }
        self.open.row.what.push(what);
        self.open.row.asked = stage.share();
        self.open.row.step = step(stage);
    }

    /// A second is over: what the guard says now.
    pub(super) fn look(&mut self, stage: &Stage) {
        let row = &mut self.open.row;
        let Some(view) = stage.guard() else { return };
        let evidence = view.metrics.iter().map(|metric| metric.log_evidence);
        row.evidence = evidence.fold(row.evidence, f64::max);
        if row.guard.as_deref() != Some(view.state) {
            row.guard = Some(view.state.to_owned());
        }
        row.no_harm = Some((view.gate.log_evidence, view.gate.threshold));
    }

    pub(super) fn report(mut self, now: u64, stage: &Stage) -> Report {
        self.rows.push(self.open.closed());
        self.summary.outcome = outcome(stage);
        self.summary.attempts = stage.position().map_or(0, |(_, attempt, _)| attempt);
        self.summary.harm_began = self.harm_began.map(shown);
        Report {
            route: stage.route_name().to_owned(),
            about: String::new(),
            seed: 0,
            begin: shown(self.begin),
            end: shown(now),
            left_out: Vec::new(),
            rows: self.rows,
            summary: self.summary,
        }
    }
}

impl Open {
    fn new(begin: u64, now: u64, stage: &Stage) -> Self {
        Self {
            time: now,
            row: Row {
                time: shown(now),
                elapsed_s: now - begin,
                asked: stage.share(),
                step: step(stage),
                ..Row::default()
            },
            canary_requests: 0,
            users: 0,
            canary_users: 0,
        }
    }

    fn closed(mut self) -> Row {
        let part = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        self.row.requests = part(self.canary_requests, self.row.n_requests);
        self.row.users = part(self.canary_users, self.users);
        self.row
    }
}

fn step(stage: &Stage) -> Option<usize> {
    stage.position().map(|(_, _, step)| step)
}

fn outcome(stage: &Stage) -> Outcome {
    match (stage.latch(), stage.position()) {
        (Latch::RolledBack, _) => Outcome::RolledBack,
        (Latch::Frozen, _) => Outcome::Frozen,
        (Latch::Normal, Some((Phase::Complete | Phase::Finalized, ..))) => Outcome::Complete,
        (Latch::Normal, Some(_)) => Outcome::UnderWay,
        (Latch::Normal, None) => Outcome::Unchanged,
    }
}

/// A second since 1970, as RFC 3339.
fn shown(second: u64) -> String {
    Timestamp::from_second(second as i64)
        .unwrap_or_default()
        .to_string()
}
