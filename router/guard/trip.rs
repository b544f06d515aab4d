//! What follows from a trip: the order that control gets, and the words for it.

use canary::guard::{Evidence, Item, Trip};
use config::model::{self, OnTrip};

use super::ACTOR;
use super::watch::{Situation, Watch};
use crate::control::{Action, Control, Order, Rejection};

/// Why a canary is to be taken back, for history, events and metrics.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tripped {
    /// The metric, or `hard_limit`.
    pub(super) cause: &'static str,
    /// In words.
    pub(crate) why: String,
    /// What is done, where the file has no say.
    done: Option<OnTrip>,
}

impl Tripped {
    /// What follows now: from `trip`, or else from a budget of `watch` that is spent.
    pub(crate) fn of(trip: Option<&Trip>, watch: &mut Watch) -> Option<Self> {
        match trip {
            Some(trip) => Some(Self::now(trip)),
            None => {
                let spent = watch.spent()?;
                Some(Self::spent(spent.item, spent.to_string()))
            }
        }
    }

    fn now(trip: &Trip) -> Self {
        let cause = match trip {
            Trip::Evidence { metric, .. } => metric.as_str(),
            Trip::HardLimit { .. } => "hard_limit",
        };
        Self {
            cause,
            why: trip.to_string(),
            done: None,
        }
    }

    /// A spent budget holds canaries where they are: it is no evidence against them.
    fn spent(item: Item, why: String) -> Self {
        let cause = match item {
            Item::ExtraErrors => "budget_extra_errors",
            Item::Users => "budget_users",
        };
        let done = Some(OnTrip::Freeze);
        Self { cause, why, done }
    }

    /// What is done about it, when the file says `on_trip`.
    pub(crate) fn done(&self, on_trip: OnTrip) -> OnTrip {
        self.done.unwrap_or(on_trip)
    }

    /// By `evidence` that was written down; `why` in the words of then, if those were written down too.
    pub(super) fn before(evidence: &Evidence, why: Option<&str>) -> Option<Self> {
        let cause = evidence.tripped().map(|metric| metric.as_str());
        let spent = evidence.spending().spent();
        let what = cause.or_else(|| Some(spent?.as_str()))?;
        let unknown = || format!("{what}: there was enough of it before the restart");
        let why = why.map_or_else(unknown, str::to_owned);
        match (cause, spent) {
            (Some(cause), _) => Some(Self {
                cause,
                why,
                done: None,
            }),
            (None, item) => Some(Self::spent(item?, why)),
        }
    }
}

/// What the file asks for; a route that has only a ramp is told.
pub(crate) fn on_trip(route: &model::Route) -> OnTrip {
    let guard = route.guard.as_ref();
    guard.map_or(OnTrip::Alert, |guard| guard.on_trip)
}

/// Whether a trip of before has not led to what the file asks for. Evidence is written down before the rollback is, so a
/// crash may come between the two; and a rollback that could not be written down is undone by a restart. A canary that was
/// raised after it, by force too, is another attempt's.
pub(super) fn is_outstanding(on_trip: OnTrip, situation: &Situation) -> bool {
    let is_done = match on_trip {
        OnTrip::Alert => true,
        OnTrip::Freeze => situation.current.state.holds(),
        OnTrip::Rollback => false,
    };
    situation.share() > 0.0 && !is_done
}

/// What is asked of control after a trip; `None` when somebody is to be told, and no more.
pub(crate) fn action(route: &str, on_trip: OnTrip) -> Option<Action> {
    let route = route.to_owned();
    match on_trip {
        OnTrip::Alert => None,
        OnTrip::Freeze => Some(Action::Freeze { route }),
        OnTrip::Rollback => Some(Action::Rollback { route: Some(route) }),
    }
}

pub(super) async fn carry_out(
    control: &Control,
    route: &str,
    tripped: &Tripped,
    on_trip: OnTrip,
) -> Result<(), Rejection> {
    let Some(action) = action(route, on_trip) else {
        return Ok(());
    };
    let order = Order {
        action,
        actor: ACTOR.into(),
        reason: Some(tripped.why.clone()),
        if_revision: None,
        dry_run: false,
    };
    control.order(order).await.map(drop)
}

pub(super) const fn word(on_trip: OnTrip) -> &'static str {
    match on_trip {
        OnTrip::Alert => "alert",
        OnTrip::Freeze => "freeze",
        OnTrip::Rollback => "rollback",
    }
}

#[cfg(test)]
mod tests {
    use config::live::Latch;

    use super::*;
    use crate::guard::watch::tests::situation;

    #[test]
    fn a_trip_is_outstanding_until_what_the_file_asks_for_was_done() {
        use Latch::{Frozen, Normal, RolledBack};
        for (on_trip, share, latch, expected) in [
            (OnTrip::Rollback, 0.1, Normal, true),
            (OnTrip::Rollback, 0.1, Frozen, true),
            (OnTrip::Rollback, 0.1, RolledBack, true),
            (OnTrip::Rollback, 0.0, RolledBack, false),
            (OnTrip::Rollback, 0.0, Normal, false),
            (OnTrip::Freeze, 0.1, Normal, true),
            (OnTrip::Freeze, 0.1, Frozen, false),
            (OnTrip::Alert, 0.1, Normal, false),
        ] {
            let found = is_outstanding(on_trip, &situation(share, latch));
            assert_eq!(found, expected, "{on_trip:?} {share} {latch:?}");
        }
    }
}
