//! When the next step of a ramp may open, and what is missing until then.
//!
//! A function from what is seen to what is due; it keeps nothing. Time is what the step was held for while somebody watched,
//! not a difference of two clocks: a clock that jumps, or a machine that slept, skips no hold.

use std::fmt;

use crate::guard::Standing;

/// Units of the canary at risk, window by window, that a step has at least before evidence is believed.
pub const MIN_UNITS: u64 = 2_000;
/// From this much evidence of harm on, a tenfold stake, no step opens.
pub const SUSPICION: f64 = std::f64::consts::LN_10;

/// What is seen of a ramp that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Seconds that the step was held, as far as somebody watched.
    pub held_s: u64,
    /// Seconds that it has to be.
    pub hold_s: u64,
    /// There is no step after it.
    pub is_last: bool,
    /// Steps open by themselves.
    pub auto: bool,
    /// Evidence of both kinds; `None` when none is gathered.
    pub evidence: Option<Seen>,
    /// Healthy targets of the canary, and how many must be.
    pub targets: (usize, usize),
    /// What they answer.
    pub probe: Probed,
    /// Now is within the hours in which steps open.
    pub in_hours: bool,
    /// A mark forbids raising the canary.
    pub is_marked: bool,
}

/// What targets of the canary answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probed {
    /// Not what they must: who, and what was seen.
    Failed(String),
    /// What they must.
    Fine,
    /// Nothing yet: they have just been asked.
    Pending,
    /// Nobody asks.
    #[default]
    Unasked,
}

/// What the guard says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// A step needs evidence of no harm.
    pub is_required: bool,
    /// Whether there is anything to compare.
    pub standing: Standing,
    /// There was enough evidence of no harm since the step began.
    pub is_open: bool,
    /// How much there is, and how much is enough.
    pub no_harm: (f64, f64),
    /// Units that it rests on.
    pub units: u64,
    /// The most evidence of harm, of any metric.
    pub harm: f64,
}

/// What is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// The last step was held for its time.
    Complete,
    /// Its time is over, and this is missing.
    Held(Vec<Missing>),
    /// The next step.
    Step,
    /// So many seconds are left.
    Wait(u64),
}

/// What a step waits for beyond its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Missing {
    /// Somebody who says `advance`.
    Advance,
    /// Evidence that there is no harm: how much there is, and how much is enough.
    Evidence(f64, f64),
    /// An hour in which steps open.
    Hours,
    /// A mark to be lifted.
    Mark,
    /// Units of the canary or of stable.
    NoData,
    /// The right answer to a probe: what came instead.
    Probe(String),
    /// Stable to be well again.
    StableUnhealthy,
    /// Less evidence of harm than this.
    Suspicion(f64),
    /// Healthy targets of the canary: how many there are, and how many must be.
    Targets(usize, usize),
    /// Units of the canary: how many there were.
    Units(u64),
}

/// What is due now.
pub fn due(sight: &Sight) -> Due {
    if sight.held_s < sight.hold_s {
        return Due::Wait(sight.hold_s - sight.held_s);
    }
    // The last step opens nothing: it is only looked at for its time.
    if sight.is_last {
        return Due::Complete;
    }
    let missing = missing(sight);
    if missing.is_empty() {
        Due::Step
    } else {
        Due::Held(missing)
    }
}

fn missing(sight: &Sight) -> Vec<Missing> {
    let mut missing = Vec::new();
    let (healthy, wanted) = sight.targets;
    let mut need = |is_there: bool, what: Missing| {
        if !is_there {
            missing.push(what);
        }
    };
    need(!sight.is_marked, Missing::Mark);
    need(healthy >= wanted, Missing::Targets(healthy, wanted));
    match &sight.probe {
        Probed::Failed(seen) => need(false, Missing::Probe(seen.clone())),
        Probed::Pending => need(false, Missing::Probe("it has just been asked".into())),
        Probed::Fine | Probed::Unasked => {}
    }
    if let Some(seen) = &sight.evidence {
        need(seen.harm < SUSPICION, Missing::Suspicion(seen.harm));
        if seen.is_required {
            need(seen.standing != Standing::NoData, Missing::NoData);
            need(seen.standing != Standing::Frozen, Missing::StableUnhealthy);
            need(seen.units >= MIN_UNITS, Missing::Units(seen.units));
            let (there, enough) = seen.no_harm;
            need(seen.is_open, Missing::Evidence(there, enough));
        }
    }
    need(sight.in_hours, Missing::Hours);
    need(sight.auto, Missing::Advance);
    missing
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advance => f.write_str("`kanaria ramp advance`: auto is false"),
            Self::Evidence(there, enough) => {
                write!(
                    f,
                    "evidence of no harm: {:.1} of {enough:.1}",
                    there.max(0.0)
                )
            }
            Self::Hours => f.write_str("an hour of `window`"),
            Self::Mark => f.write_str("a mark to be lifted: `kanaria resume`"),
            Self::NoData => f.write_str("data: too few users of the canary or of stable"),
            Self::Probe(seen) => write!(f, "an answer of 2xx to its probe: {seen}"),
            Self::StableUnhealthy => f.write_str("stable: a fifth of its users fail"),
            Self::Suspicion(harm) => write!(f, "less evidence of harm than {harm:.1}"),
            Self::Targets(healthy, wanted) => {
                write!(
                    f,
                    "healthy targets of the canary: {healthy} of the {wanted} it needs"
                )
            }
            Self::Units(units) => {
                write!(
                    f,
                    "users of the canary, window by window: {units} of {MIN_UNITS}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Seen = Seen {
        is_required: true,
        standing: Standing::Comparing,
        is_open: true,
        no_harm: (3.2, 3.0),
        units: 5_000,
        harm: 0.4,
    };

    /// A step whose time is over and that lacks nothing.
    fn ready() -> Sight {
        Sight {
            held_s: 100,
            hold_s: 100,
            is_last: false,
            auto: true,
            evidence: Some(FINE),
            targets: (3, 2),
            probe: Probed::Fine,
            in_hours: true,
            is_marked: false,
        }
    }

    fn seen(change: impl FnOnce(&mut Seen)) -> Option<Seen> {
        let mut seen = FINE;
        change(&mut seen);
        Some(seen)
    }

    #[test]
    fn a_step_whose_time_is_over_and_that_lacks_nothing_opens() {
        assert_eq!(due(&ready()), Due::Step);
        let waits = Sight {
            held_s: 40,
            ..ready()
        };
        assert_eq!(due(&waits), Due::Wait(60));
        let last = Sight {
            is_last: true,
            in_hours: false,
            ..ready()
        };
        assert_eq!(due(&last), Due::Complete);
    }

    #[test]
    fn what_is_missing_holds_the_step_and_is_named() {
        let cases = [
            (
                Sight {
                    auto: false,
                    ..ready()
                },
                Missing::Advance,
            ),
            (
                Sight {
                    in_hours: false,
                    ..ready()
                },
                Missing::Hours,
            ),
            (
                Sight {
                    is_marked: true,
                    ..ready()
                },
                Missing::Mark,
            ),
            (
                Sight {
                    targets: (1, 2),
                    ..ready()
                },
                Missing::Targets(1, 2),
            ),
            (
                Sight {
                    probe: Probed::Failed("10.0.0.1:80: 503".into()),
                    ..ready()
                },
                Missing::Probe("10.0.0.1:80: 503".into()),
            ),
            (
                Sight {
                    evidence: seen(|seen| seen.harm = 2.4),
                    ..ready()
                },
                Missing::Suspicion(2.4),
            ),
            (
                Sight {
                    evidence: seen(|seen| seen.units = 1_999),
                    ..ready()
                },
                Missing::Units(1_999),
            ),
            (
                Sight {
                    evidence: seen(|seen| {
                        seen.is_open = false;
                        seen.no_harm = (1.0, 3.0);
                    }),
                    ..ready()
                },
                Missing::Evidence(1.0, 3.0),
            ),
            (
                Sight {
                    evidence: seen(|seen| seen.standing = Standing::NoData),
                    ..ready()
                },
                Missing::NoData,
            ),
            (
                Sight {
                    evidence: seen(|seen| seen.standing = Standing::Frozen),
                    ..ready()
                },
                Missing::StableUnhealthy,
            ),
        ];
        for (sight, missing) in cases {
            assert_eq!(due(&sight), Due::Held(vec![missing]), "{sight:?}");
        }
        let everything = Sight {
            auto: false,
            in_hours: false,
            targets: (0, 1),
            ..ready()
        };
        let Due::Held(missing) = due(&everything) else {
            panic!("held")
        };
        assert_eq!(missing.len(), 3);
    }

    #[test]
    fn a_ramp_that_needs_no_evidence_still_stops_at_evidence_of_harm() {
        let blind = |change: fn(&mut Seen)| Sight {
            evidence: seen(|seen| {
                *seen = Seen {
                    is_required: false,
                    is_open: false,
                    units: 0,
                    standing: Standing::NoData,
                    ..FINE
                };
                change(seen);
            }),
            ..ready()
        };
        assert_eq!(due(&blind(|_| ())), Due::Step);
        assert_eq!(
            due(&blind(|seen| seen.harm = 5.0)),
            Due::Held(vec![Missing::Suspicion(5.0)])
        );
        assert_eq!(
            due(&Sight {
                evidence: None,
                ..ready()
            }),
            Due::Step
        );
    }
}
