//! Which requests count, for whom, and as what.

use config::decision::Reason;
use config::ids::PoolId;

use crate::record::{Blame, Cause, Record};

/// Who is charged with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A canary.
    Canary,
    /// The stable pool.
    Stable,
}

/// What became of a request, as far as the target's side goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered, or the client did not wait for it.
    Fine,
    /// 5xx, no connection, or no answer in time.
    Failed,
    /// 401, 403, 404 or 429: what migrations really break.
    Refused,
}

/// One request as a guard counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Who is charged with it.
    pub side: Side,
    /// Whose it was.
    pub unit: u16,
    /// What became of it.
    pub outcome: Outcome,
    /// Time to the head of the answer in microseconds, of the longest when none came in time; `None` when that says nothing.
    pub time_us: Option<u64>,
}

impl Observation {
    /// The request of `record`, in a route with this stable pool; `None` when it does not count.
    ///
    /// Who chose a pool by a flag is not a sample of all clients. What a cap sent to stable, or a
    /// `fallback` to another pool, says nothing of either.
    /// What stable did in place of a canary is charged to the canary, as a failure. What ended before a target was asked
    /// for is nobody's, but for a pool without a target that could be.
    pub fn of(record: &Record, stable: PoolId) -> Option<Self> {
        let choice = record.decision.as_ref()?.choice.as_ref()?;
        choice.bucket?;
        if choice.flag.is_some() || matches!(choice.reason, Reason::Cap | Reason::Fallback) {
            return None;
        }
        let failed_over = choice.reason == Reason::Failover;
        let outcome = if failed_over {
            Outcome::Failed
        } else {
            outcome(record)?
        };
        let chosen = record.switched_from.unwrap_or(choice.pool);
        Some(Self {
            side: if chosen == stable {
                Side::Stable
            } else {
                Side::Canary
            },
            unit: choice.unit,
            outcome,
            time_us: if failed_over { None } else { time_us(record) },
        })
    }
}

/// What became of it; `None` when no target was asked.
pub(crate) fn outcome(record: &Record) -> Option<Outcome> {
    let status = record
        .upstream
        .as_ref()
        .and_then(|upstream| upstream.status);
    match (status, record.error) {
        (Some(500..), _) => Some(Outcome::Failed),
        (Some(401 | 403 | 404 | 429), _) => Some(Outcome::Refused),
        (Some(_), _) => Some(Outcome::Fine),
        (None, Some(Cause::NoTarget)) => Some(Outcome::Failed),
        (None, Some(cause)) if cause.blame() == Blame::Target => Some(Outcome::Failed),
        // The client went while it waited: the target was asked, and has not failed.
        (None, _) => record.upstream.as_ref().map(|_| Outcome::Fine),
    }
}

/// Time to the head of the answer in microseconds, of the longest when none came in time; `None` when that says nothing.
pub(crate) fn time_us(record: &Record) -> Option<u64> {
    let upstream = record.upstream.as_ref()?;
    let timeouts = [
        Cause::ConnectTimeout,
        Cause::ResponseTimeout,
        Cause::RequestTimeout,
    ];
    match upstream.ttfb {
        Some(ttfb) => {
            let whole = ttfb + upstream.connect.unwrap_or_default();
            Some(u64::try_from(whole.as_micros()).unwrap_or(u64::MAX))
        }
        None => record
            .error
            .filter(|cause| timeouts.contains(cause))
            .map(|_| u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::ids::FlagId;

    use super::*;
    use crate::record::Upstream;
    use crate::testing::record;

    const EC2: PoolId = PoolId(0);
    const ECS: PoolId = PoolId(1);

    /// A request that `ecs` served, after `change`.
    fn canarys(change: impl FnOnce(&mut Record)) -> Option<Observation> {
        let mut record = record();
        let choice = record.decision.as_mut().unwrap().choice.as_mut().unwrap();
        choice.pool = ECS;
        choice.reason = Reason::Weight;
        choice.flag = None;
        choice.bucket = Some(1);
        choice.unit = 77;
        record.switched_from = None;
        record.error = None;
        if let Some(upstream) = &mut record.upstream {
            upstream.status = Some(200);
        }
        change(&mut record);
        Observation::of(&record, EC2)
    }

    fn choose(record: &mut Record, change: impl FnOnce(&mut config::decision::Choice)) {
        change(record.decision.as_mut().unwrap().choice.as_mut().unwrap());
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Record), expected: Option<(Side, Outcome)>) {
        let seen = canarys(change).map(|seen| (seen.side, seen.outcome));
        assert_eq!(seen, expected);
    }

    fn answered(status: u16) -> impl FnOnce(&mut Record) {
        move |record| record.upstream.as_mut().unwrap().status = Some(status)
    }

    fn unanswered(cause: Cause) -> impl FnOnce(&mut Record) {
        move |record| {
            let upstream = record.upstream.as_mut().unwrap();
            (upstream.status, upstream.ttfb) = (None, None);
            record.error = Some(cause);
        }
    }

    #[test]
    fn what_the_target_answers_is_the_targets() {
        for (status, outcome) in [
            (200, Outcome::Fine),
            (304, Outcome::Fine),
            (400, Outcome::Fine),
            (401, Outcome::Refused),
            (403, Outcome::Refused),
            (404, Outcome::Refused),
            (429, Outcome::Refused),
            (500, Outcome::Failed),
            (503, Outcome::Failed),
        ] {
            check(answered(status), Some((Side::Canary, outcome)));
        }
    }

    #[test]
    fn a_target_that_does_not_answer_has_failed() {
        for cause in [
            Cause::ConnectFailed,
            Cause::ConnectTimeout,
            Cause::TargetClosed,
            Cause::BadResponse,
            Cause::ResponseTimeout,
            Cause::RequestTimeout,
            Cause::NoTarget,
        ] {
            check(unanswered(cause), Some((Side::Canary, Outcome::Failed)));
        }
    }

    #[test]
    fn what_a_client_does_is_never_a_failure() {
        check(
            unanswered(Cause::ClientClosed),
            Some((Side::Canary, Outcome::Fine)),
        );
        check(
            unanswered(Cause::BodyTimeout),
            Some((Side::Canary, Outcome::Fine)),
        );
        for cause in [Cause::ClientClosed, Cause::PoolFull, Cause::Shutdown] {
            let unsent = |record: &mut Record| {
                record.upstream = None;
                record.error = Some(cause);
            };
            check(unsent, None);
        }
    }

    #[test]
    fn what_stable_does_for_a_canary_is_charged_to_the_canary() {
        let failed_over = |record: &mut Record| {
            record.switched_from = Some(ECS);
            choose(record, |choice| {
                choice.pool = EC2;
                choice.reason = Reason::Failover;
            });
        };
        check(failed_over, Some((Side::Canary, Outcome::Failed)));
        assert_eq!(canarys(failed_over).unwrap().time_us, None);
    }

    #[test]
    fn who_was_not_placed_by_weight_does_not_count() {
        check(
            |record| choose(record, |choice| choice.flag = Some(FlagId(0))),
            None,
        );
        check(|record| choose(record, |choice| choice.bucket = None), None);
        for reason in [Reason::Cap, Reason::Fallback] {
            let elsewhere = |record: &mut Record| {
                record.switched_from = Some(ECS);
                choose(record, |choice| {
                    choice.pool = EC2;
                    choice.reason = reason;
                });
            };
            check(elsewhere, None);
        }
        check(|record| record.decision = None, None);
        check(
            |record| choose(record, |choice| choice.reason = Reason::Pin),
            Some((Side::Canary, Outcome::Fine)),
        );
        check(
            |record| choose(record, |choice| choice.pool = EC2),
            Some((Side::Stable, Outcome::Fine)),
        );
    }

    #[test]
    fn a_time_is_that_of_the_connection_and_of_the_head() {
        let timed = |record: &mut Record| {
            let upstream: &mut Upstream = record.upstream.as_mut().unwrap();
            upstream.connect = Some(Duration::from_millis(3));
            upstream.ttfb = Some(Duration::from_millis(40));
        };
        assert_eq!(canarys(timed).unwrap().time_us, Some(43_000));
        assert_eq!(
            canarys(unanswered(Cause::ResponseTimeout)).unwrap().time_us,
            Some(u64::MAX)
        );
        assert_eq!(
            canarys(unanswered(Cause::ConnectFailed)).unwrap().time_us,
            None
        );
    }
}
