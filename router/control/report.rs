//! The migration of a route, told from the journal and from what its guard has written down. How it reads is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::live::{Edit, LiveRoute, Refusal, Share, Weights};
use config::model;
use jiff::Timestamp;
use serde::Serialize;

use super::{Control, Rejection, Sides};
use crate::journal::Entry;

/// What the guard of a route has seen, by stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Since when it is kept, in milliseconds since 1970; `None` when nothing is.
    pub since_ms: Option<u64>,
    /// By stage.
    pub stages: Vec<SumView>,
    /// When a canary was to be taken back or held, and why.
    pub trips: Vec<(u64, String)>,
}

/// What the guard has seen in one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SumView {
    /// Windows of five seconds that were compared.
    pub windows: u64,
    /// Users at risk, window by window.
    pub users: Sides,
    /// Those of them whose requests failed.
    pub bad: Sides,
    /// The most evidence of harm, by what is enough.
    pub harm: Option<HarmView>,
    /// The most evidence that there is no harm.
    pub no_harm: f64,
    /// How much is enough; 0 when nothing was compared.
    pub no_harm_threshold: f64,
}

/// Evidence of harm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HarmView {
    /// In what.
    pub metric: &'static str,
    /// How much, in nats.
    pub log_evidence: f64,
    /// How much is enough for a rollback.
    pub threshold: f64,
}

/// The migration of one route, since it is in the file.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ReportView {
    /// The route.
    pub route: String,
    /// The pool that a rollback returns to.
    pub stable: String,
    /// The other pools, in file order.
    pub canaries: Vec<String>,
    /// When this was told, RFC 3339, UTC as all times here.
    pub at: String,
    /// The revision then.
    pub revision: u64,
    /// `normal`, `frozen` or `rolled_back`.
    pub state: &'static str,
    /// Shares now, in percent.
    pub shares: BTreeMap<String, f64>,
    /// Where its ramp is; `null` before the first start.
    pub ramp: Option<StepOf>,
    /// Since when the guard's evidence is kept; `null` when there is none.
    pub evidence_since: Option<String>,
    /// Times of constant shares, oldest first.
    pub stages: Vec<StageView>,
    /// What went wrong, and what was done about it, oldest first.
    pub incidents: Vec<IncidentView>,
    /// Who did what, oldest first.
    pub changes: Vec<ChangeView>,
}

/// A step of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StepOf {
    /// Counts from 1.
    pub attempt: u32,
    /// Counts from 1.
    pub step: usize,
    /// How many steps there are.
    pub of: usize,
    /// `running`, `paused`, `complete`, `finalized` or `rolled_back`.
    pub phase: &'static str,
}

/// A time of constant shares.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StageView {
    /// When it began.
    pub from: String,
    /// When it ended; `null` for the one that goes on.
    pub to: Option<String>,
    /// How long, in seconds.
    pub length_s: u64,
    /// The revision that began it.
    pub revision: u64,
    /// Who did.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Shares, in percent.
    pub shares: BTreeMap<String, f64>,
    /// The step of the ramp that it was.
    pub ramp: Option<StepOf>,
    /// `harm`, `no_harm`, `open` or `no_data`.
    pub verdict: &'static str,
    /// What that rests on.
    pub seen: SumView,
}

/// Something that went wrong, or was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct IncidentView {
    /// When.
    pub time: String,
    /// `rollback`, `freeze`, `trip` (which was only told) or `resume`.
    pub what: &'static str,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// The revision of the change; `null` when there was none.
    pub revision: Option<u64>,
}

/// One change of the route.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ChangeView {
    /// When.
    pub time: String,
    /// The revision after it.
    pub revision: u64,
    /// What it was, as in the history.
    pub kind: &'static str,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Weights before it; `null` when the route was not there.
    pub before: Option<BTreeMap<String, u32>>,
    /// Weights after it; `null` when the route left.
    pub after: Option<BTreeMap<String, u32>>,
    /// The mark after it.
    pub state: Option<&'static str>,
    /// Where its ramp was after it.
    pub ramp: Option<StepOf>,
}

impl HarmView {
    /// Of how much is enough.
    pub fn part(&self) -> f64 {
        self.log_evidence / self.threshold
    }
}

impl SumView {
    fn verdict(&self) -> &'static str {
        match &self.harm {
            _ if self.windows == 0 => "no_data",
            Some(harm) if harm.part() >= 1.0 => "harm",
            _ if self.no_harm >= self.no_harm_threshold => "no_harm",
            _ => "open",
        }
    }
}

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
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::fixture::{Rig, file, rig_in};
    use super::super::{Action, Order};
    use super::*;

    async fn order(rig: &Rig, action: Action, reason: &str) {
        let order = Order {
            action,
            actor: "token:ann".into(),
            reason: Some(reason.into()),
            if_revision: None,
            dry_run: false,
        };
        rig.control.order(order).await.unwrap();
    }

    fn weights(ec2: u32, ecs: u32) -> Action {
        Action::Weights {
            route: "blogs".into(),
            weights: Weights::from([("ec2".into(), ec2), ("ecs".into(), ecs)]),
            bounds: config::live::Bounds::Kept,
        }
    }

    #[tokio::test]
    async fn a_report_has_stages_incidents_and_who_did_what() {
        let rig = rig_in(tempfile::tempdir().unwrap(), file(95, 5));
        order(&rig, weights(80, 20), "more").await;
        order(&rig, Action::Rollback { route: None }, "errors").await;
        let route = "blogs".to_owned();
        order(&rig, Action::Resume { route }, "mended").await;
        let report = rig.control.report("blogs").await.unwrap();
        let stages: Vec<_> = report
            .stages
            .iter()
            .map(|stage| (stage.shares["ecs"], stage.actor.as_str(), stage.verdict))
            .collect();
        assert_eq!(
            stages,
            [
                (5.0, "file", "no_data"),
                (20.0, "token:ann", "no_data"),
                (0.0, "token:ann", "no_data")
            ]
        );
        assert_eq!(report.stages[1].to.as_ref(), Some(&report.stages[2].from));
        assert_eq!(report.stages[2].to, None);
        let incidents: Vec<_> = report
            .incidents
            .iter()
            .map(|it| (it.what, it.reason.as_deref().unwrap()))
            .collect();
        assert_eq!(incidents, [("rollback", "errors"), ("resume", "mended")]);
        let kinds: Vec<_> = report.changes.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, ["start", "weights", "rollback", "resume"]);
        assert!(report.at.ends_with('Z') && report.stages[0].from.ends_with('Z'));
    }

    #[tokio::test]
    async fn a_route_that_came_back_has_a_report_of_its_own() {
        let rig = rig_in(tempfile::tempdir().unwrap(), file(95, 5));
        order(&rig, weights(80, 20), "more").await;
        let whole = rig.file.lock().unwrap().clone();
        let mut without = whole.clone().unwrap();
        without["routes"].as_array_mut().unwrap().remove(0);
        for file in [Ok(without), whole] {
            *rig.file.lock().unwrap() = file;
            order(&rig, Action::Reload, "file").await;
        }
        let report = rig.control.report("blogs").await.unwrap();
        assert_eq!(report.changes.len(), 1);
        assert_eq!(report.stages[0].shares["ecs"], 5.0);
        assert!(rig.control.report("nobody").await.is_err());
    }

    #[test]
    fn a_verdict_is_what_there_is_enough_evidence_of() {
        let harm = |log_evidence| {
            Some(HarmView {
                metric: "errors",
                log_evidence,
                threshold: 7.0,
            })
        };
        for (windows, log_evidence, no_harm, expected) in [
            (0, 0.0, 0.0, "no_data"),
            (9, 1.0, 1.0, "open"),
            (9, 1.0, 3.5, "no_harm"),
            (9, 7.5, 3.5, "harm"),
        ] {
            let sum = SumView {
                windows,
                harm: harm(log_evidence),
                no_harm,
                no_harm_threshold: 3.0,
                ..SumView::default()
            };
            assert_eq!(sum.verdict(), expected);
        }
    }

    #[test]
    fn a_trip_that_led_to_nothing_is_an_incident_too() {
        let time = "2026-11-27T02:00:00.123456Z";
        let written = json!({
            "revision": 1, "time": time, "kind": "start", "actor": "file", "reason": null, "config_digest": "0",
            "routes": { "web": { "before": null, "after": {
                "weights": { "ec2": 90, "ecs": 10 }, "block": { "ec2": 90, "ecs": 10 }, "owner": "file", "state": "normal",
            } } },
        });
        let entries = [serde_json::from_value::<Entry>(written).unwrap()];
        let told = Told::of("web", &entries);
        let later = ms(time) + Duration::from_secs(60).as_millis() as u64;
        let account = Account {
            trips: vec![
                (5_000, "of a route before it".into()),
                (later, "errors".into()),
            ],
            ..Account::default()
        };
        let incidents = told.incidents(&account);
        assert_eq!(incidents.len(), 1);
        assert_eq!(
            (&*incidents[0].time, incidents[0].what),
            ("2026-11-27T02:01:00Z", "trip")
        );
    }
}
