//! The migration of a route, told from the journal and from what its guard has written down. How it reads is not known here.

mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use config::live::{Edit, LiveRoute, Refusal, Share, Weights};
use config::model;
use jiff::Timestamp;

use super::{Control, Rejection};
use crate::journal::Entry;
pub use view::{
    Account, ChangeView, HarmView, IncidentView, ReportView, StageView, StepOf, SumView,
};

impl Control {
    /// The migration of the route `name`.
    ///
    /// # Errors
    /// When there is no such route, it has no pools, or the journal or the evidence cannot be read.
    pub async fn report(&self, name: &str) -> Result<ReportView, Rejection> {
        let standing = self.standing();
        let route = standing.structure.route_named(name);
        let (Some(route), Some(live)) = (route, standing.live.routes.get(name)) else {
            return Err(Refusal::NoPools {
                route: name.to_owned(),
            }
            .into());
        };
        let unreadable = |error: std::io::Error| Rejection::NoJournal(error.to_string());
        let mut entries = self.history(usize::MAX).await.map_err(unreadable)?;
        entries.reverse();
        let now = Timestamp::now();
        let told = Told::of(name, &entries);
        let (house, folder) = (self.house().clone(), self.folder.clone());
        let (of, starts) = (name.to_owned(), told.starts_ms());
        let read = tokio::task::spawn_blocking(move || house.account(&folder, &of, &starts));
        let account = read.await.map_err(std::io::Error::other);
        let account = account.and_then(|account| account).map_err(unreadable)?;
        Ok(told.report(&route.settings, live, &account, (standing.revision(), now)))
    }
}

/// What the journal says of a route since it came.
struct Told<'a> {
    changes: Vec<(&'a Entry, &'a Edit<Arc<LiveRoute>>)>,
}

impl<'a> Told<'a> {
    fn of(name: &str, entries: &'a [Entry]) -> Self {
        let all = entries.iter();
        let changes = all.filter_map(|entry| Some((entry, entry.delta.routes.get(name)?)));
        let mut changes: Vec<_> = changes.collect();
        let came = changes
            .iter()
            .rposition(|(_, edit)| edit.before.is_none())
            .unwrap_or_default();
        Self {
            changes: changes.split_off(came),
        }
    }

    /// Changes after which shares are others.
    fn begins(&self) -> Vec<(&'a Entry, &'a LiveRoute)> {
        let changes = self.changes.iter();
        let begins = changes.filter_map(|(entry, edit)| {
            let after = edit.after.as_deref()?;
            let before = edit.before.as_ref().map(|before| &before.weights);
            (before != Some(&after.weights)).then_some((*entry, after))
        });
        begins.collect()
    }

    fn starts_ms(&self) -> Vec<u64> {
        let begins = self.begins().into_iter();
        begins.map(|(entry, _)| ms(&entry.time)).collect()
    }

    fn report(
        &self,
        route: &model::Route,
        live: &LiveRoute,
        account: &Account,
        (revision, now): (u64, Timestamp),
    ) -> ReportView {
        let pools = route.weights.iter().map(|(pool, _)| pool);
        let canaries = pools.filter(|pool| *pool != route.stable_pool());
        ReportView {
            route: route.name.clone(),
            stable: route.stable_pool().to_owned(),
            canaries: canaries.map(str::to_owned).collect(),
            at: rfc3339(now),
            revision,
            state: live.state.as_str(),
            shares: shares(&live.weights),
            ramp: step_of(live),
            evidence_since: account.since_ms.map(|ms| rfc3339(at(ms))),
            stages: self.stages(account, now),
            incidents: self.incidents(account),
            changes: self
                .changes
                .iter()
                .map(|(entry, edit)| change(entry, edit))
                .collect(),
        }
    }

    fn stages(&self, account: &Account, now: Timestamp) -> Vec<StageView> {
        let begins = self.begins();
        let ends = begins.iter().skip(1).map(|(entry, _)| Some(*entry));
        let ends = ends.chain([None]);
        let seen = account.stages.iter().copied();
        let seen = seen.chain(std::iter::repeat(SumView::default()));
        let stages = begins.iter().zip(ends).zip(seen);
        let stages = stages.map(|(((entry, after), end), seen)| {
            let until = end.map_or_else(|| now.as_millisecond() as u64, |end| ms(&end.time));
            StageView {
                from: seconds(&entry.time),
                to: end.map(|end| seconds(&end.time)),
                length_s: until.saturating_sub(ms(&entry.time)) / 1000,
                revision: entry.revision,
                actor: entry.actor.clone(),
                reason: entry.reason.clone(),
                shares: shares(&after.weights),
                ramp: step_of(after).filter(|step| step.phase == "running"),
                verdict: seen.verdict(),
                seen,
            }
        });
        stages.collect()
    }

    fn incidents(&self, account: &Account) -> Vec<IncidentView> {
        let marked = self.changes.iter().filter_map(|(entry, edit)| {
            let before = edit.before.as_ref()?.state;
            let after = edit.after.as_ref()?.state;
            let what = match (before.holds(), after) {
                _ if before == after => return None,
                (true, after) if !after.holds() => "resume",
                (_, config::live::Latch::Frozen) => "freeze",
                _ => "rollback",
            };
            Some(IncidentView {
                time: seconds(&entry.time),
                what,
                actor: entry.actor.clone(),
                reason: entry.reason.clone(),
                revision: Some(entry.revision),
            })
        });
        let mut incidents: Vec<_> = marked.collect();
        let begin = self.changes.first().map_or(0, |(entry, _)| ms(&entry.time));
        let is_told = |why: &str, incidents: &[IncidentView]| {
            incidents
                .iter()
                .any(|incident| incident.reason.as_deref() == Some(why))
        };
        for (time, why) in account.trips.iter().filter(|(time, _)| *time >= begin) {
            if !is_told(why, &incidents) {
                incidents.push(IncidentView {
                    time: rfc3339(at(*time)),
                    what: "trip",
                    actor: "guard".into(),
                    reason: Some(why.clone()),
                    revision: None,
                });
            }
        }
        incidents.sort_by(|one, other| one.time.cmp(&other.time));
        incidents
    }
}

fn change(entry: &Entry, edit: &Edit<Arc<LiveRoute>>) -> ChangeView {
    let weights = |route: Option<&Arc<LiveRoute>>| route.map(|route| route.weights.clone());
    ChangeView {
        time: seconds(&entry.time),
        revision: entry.revision,
        kind: entry.kind.as_str(),
        actor: entry.actor.clone(),
        reason: entry.reason.clone(),
        before: weights(edit.before.as_ref()),
        after: weights(edit.after.as_ref()),
        state: edit.after.as_ref().map(|route| route.state.as_str()),
        ramp: edit.after.as_deref().and_then(step_of),
    }
}

fn step_of(live: &LiveRoute) -> Option<StepOf> {
    let ramp = live.ramp.as_ref()?;
    Some(StepOf {
        attempt: ramp.attempt,
        step: ramp.step + 1,
        of: ramp.plan.len(),
        phase: ramp.phase.as_str(),
    })
}

/// In percent, to a hundredth.
fn shares(weights: &Weights) -> BTreeMap<String, f64> {
    let share = |pool: &str| (Share::of(weights, pool).percent() * 100.0).round() / 100.0;
    weights
        .keys()
        .map(|pool| (pool.clone(), share(pool)))
        .collect()
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(ms as i64).unwrap_or(Timestamp::MAX)
}

fn ms(time: &str) -> u64 {
    let time = time.parse::<Timestamp>();
    time.map_or(0, |time| time.as_millisecond().max(0) as u64)
}

fn rfc3339(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// A time of the journal, which has microseconds, to the second.
fn seconds(time: &str) -> String {
    let parsed = time.parse::<Timestamp>();
    parsed.map_or_else(|_| time.to_owned(), rfc3339)
}

#[cfg(test)]
mod tests;
