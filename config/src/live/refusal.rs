//! Why a change is refused, in the operator's words.

use std::net::SocketAddr;

use super::{Latch, Phase, Share};

/// A change that is not carried out. The state stays as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No such route.
    #[error("route `{route}` does not exist; routes are {}", list(.known))]
    UnknownRoute {
        /// The name given.
        route: String,
        /// Names of all routes.
        known: Vec<String>,
    },
    /// No such pool.
    #[error("pool `{pool}` does not exist; pools are {}", list(.known))]
    UnknownPool {
        /// The name given.
        pool: String,
        /// Names of all pools.
        known: Vec<String>,
    },
    /// The same target more than once in one change.
    #[error("{} is given twice", list(&addresses(.targets)))]
    Twice {
        /// What was given before, each with its place in the list.
        targets: Vec<(usize, SocketAddr)>,
    },
    /// No such targets.
    #[error("pool `{pool}` has no target {}; its targets are {}", list(&addresses(.unknown)), list(.known))]
    UnknownTargets {
        /// The pool.
        pool: String,
        /// What was given and is no target, each with its place in the list.
        unknown: Vec<(usize, SocketAddr)>,
        /// Addresses of its targets.
        known: Vec<String>,
    },
    /// The pool would be empty.
    #[error("pool `{pool}` would have no target left; register another one first, or `force` it")]
    LastTarget {
        /// The pool.
        pool: String,
    },
    /// Only pinned clients can finish on a pool without a weight.
    #[error(
        "route `{route}` pins nobody, so nobody could finish; set the weight to 0, or give it `sticky.mode = \"pin\"`"
    )]
    NoPins {
        /// The route.
        route: String,
    },
    /// The pool has no clients left.
    #[error("pool `{pool}` has no weight in route `{route}`: it has no clients that could finish")]
    NothingToDrain {
        /// The route.
        route: String,
        /// The pool.
        pool: String,
    },
    /// A route that answers by itself has nothing to change.
    #[error("route `{route}` has no pools: it answers by itself, and the file says what")]
    NoPools {
        /// The route.
        route: String,
    },
    /// The weights do not name exactly the pools of the route.
    #[error("weights must name every pool of route `{route}` ({}) and no other{}{}", list(.pools), named(", missing ", .missing), named(", unknown ", .unknown))]
    Pools {
        /// The route.
        route: String,
        /// Pools of its block, in file order.
        pools: Vec<String>,
        /// Pools of its block that were not named.
        missing: Vec<String>,
        /// Pools named that are not in its block.
        unknown: Vec<String>,
    },
    /// A weight above the limit.
    #[error("weight {weight} of pool `{pool}` is too large; allowed are 0 to 1000000")]
    Heavy {
        /// The pool.
        pool: String,
        /// Its weight.
        weight: u32,
    },
    /// Nothing would be routed.
    #[error("weights are all 0; at least one pool needs a weight above 0")]
    AllZero,
    /// A weight so small that no user would get there.
    #[error(
        "weight {weight} of pool `{pool}` is less than 0.01 % of all and gets no user; raise it, or make it 0"
    )]
    NoBucket {
        /// The pool.
        pool: String,
        /// Its weight.
        weight: u32,
    },
    /// A latched route whose canary would rise.
    #[error("route `{route}` is {}: canary `{pool}` may not rise from {before} to {after}; `kanaria resume {route}` lifts the mark, `force` overrides it once", .state.as_str())]
    Latched {
        /// The route.
        route: String,
        /// Its mark.
        state: Latch,
        /// The canary that would rise most.
        pool: String,
        /// Its share now.
        before: Share,
        /// Its share asked.
        after: Share,
    },
    /// A rise above `max_step`.
    #[error(
        "route `{route}`: canary `{pool}` would rise from {before} to {after}, more than max_step = {max_step} percent points; take smaller steps, or `force` it"
    )]
    Step {
        /// The route.
        route: String,
        /// The canary that would rise most.
        pool: String,
        /// Its share now.
        before: Share,
        /// Its share asked.
        after: Share,
        /// The file's bound.
        max_step: f64,
    },
    /// A weight above that of a ramp that runs.
    #[error(
        "route `{route}` has a ramp that runs, at {step} %: its canary may not have {share} yet; `kanaria ramp advance {route}` takes the next step, `force` overrides it"
    )]
    AheadOfRamp {
        /// The route.
        route: String,
        /// The canary's share asked.
        share: Share,
        /// The share of the step, in percent.
        step: f64,
    },
    /// Too little is known of stable to judge a canary by.
    #[error(
        "route `{route}`: the guard knows {minutes} minutes of stable, and needs 180 to tell its noise from harm; wait, or start with `--cold`"
    )]
    Cold {
        /// The route.
        route: String,
        /// Minutes known.
        minutes: u32,
    },
    /// The ramp has come to its last step.
    #[error("the ramp of `{route}` is at its last step")]
    NoStepLeft {
        /// The route.
        route: String,
    },
    /// The last step has not been held for its time.
    #[error(
        "the ramp of `{route}` has not held its last step for its time yet; `kanaria ramp status {route}` says how long that is"
    )]
    NotHeld {
        /// The route.
        route: String,
    },
    /// The file has no ramp for the route.
    #[error("route `{route}` has no ramp; `[routes.ramp]` in the file gives it one")]
    NoRamp {
        /// The route.
        route: String,
    },
    /// What is asked needs a ramp that was started.
    #[error("the ramp of `{route}` is {}, which does not go with that", word(.phase))]
    RampIsOff {
        /// The route.
        route: String,
        /// What it does; `None` when it was never started.
        phase: Option<Phase>,
    },
    /// A ramp can be started once.
    #[error("the ramp of `{route}` is {} already", word(&Some(*.phase)))]
    RampIsOn {
        /// The route.
        route: String,
        /// What it does.
        phase: Phase,
    },
    /// A ramp on a route that was rolled back.
    #[error(
        "route `{route}` is rolled back, so its ramp cannot go on, not even by force; `kanaria resume {route}` lifts the mark first"
    )]
    RampIsMarked {
        /// The route.
        route: String,
    },
    /// Other canaries have what a step needs.
    #[error(
        "route `{route}`: its other canaries have {others} %, which leaves no room for a step of {step} %; lower them first"
    )]
    NoRoom {
        /// The route.
        route: String,
        /// The share of the step, in percent.
        step: f64,
        /// What the other canaries have together, in percent.
        others: f64,
    },
    /// The canary has more than every step gives it.
    #[error("the canary of `{route}` has {share} already, more than every step of its ramp")]
    RampIsOver {
        /// The route.
        route: String,
        /// Its share.
        share: Share,
    },
    /// Too few targets for another step.
    #[error(
        "route `{route}`: {healthy} targets of canary `{pool}` are healthy, and its ramp needs {wanted}; mend them first, or `force` it"
    )]
    WeakCanary {
        /// The route.
        route: String,
        /// The canary.
        pool: String,
        /// Healthy targets.
        healthy: usize,
        /// How many must be.
        wanted: usize,
    },
    /// A target of the canary does not answer to the probe as it must.
    #[error(
        "route `{route}`: canary `{pool}` does not answer its ramp's probe with 2xx: {seen}; mend it first, or `force` it"
    )]
    Unprobed {
        /// The route.
        route: String,
        /// The canary.
        pool: String,
        /// Which target, and what was seen.
        seen: String,
    },
    /// Steps open at other hours.
    #[error("route `{route}`: steps open {window}, the next time at {opens}; wait, or `force` it")]
    OutOfHours {
        /// The route.
        route: String,
        /// The hours.
        window: String,
        /// When they begin, RFC 3339.
        opens: String,
    },
    /// Stable could not take its traffic back.
    #[error(
        "route `{route}` cannot be finalized: stable pool `{pool}` has no healthy target, so the way back would be closed"
    )]
    WeakStable {
        /// The route.
        route: String,
        /// Its stable pool.
        pool: String,
    },
    /// Users would be moved on a canary that has some.
    #[error(
        "cohort `{cohort}` cannot be reshuffled: route `{route}` has canary `{pool}` at {share}; roll it back first, or `force` it"
    )]
    Occupied {
        /// The cohort.
        cohort: String,
        /// A route of it.
        route: String,
        /// Its canary.
        pool: String,
        /// The canary's share.
        share: Share,
    },
    /// Nothing of the old state fits the routes of today.
    #[error("revision {revision} has no route whose pools are those of today")]
    NothingToRestore {
        /// The revision asked for.
        revision: u64,
    },
}

/// One place of a request that a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Key path in the request's body.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl Refusal {
    /// The keys the refusal is about, one by one.
    pub fn complaints(&self) -> Vec<Complaint> {
        match self {
            Self::UnknownRoute { .. }
            | Self::UnknownPool { .. }
            | Self::NoPools { .. }
            | Self::NoPins { .. }
            | Self::NoRamp { .. } => {
                vec![self.about("name")]
            }
            Self::Twice { targets } => Complaint::of_targets(targets, "is given twice"),
            Self::UnknownTargets { pool, unknown, .. } => {
                Complaint::of_targets(unknown, &format!("is not a target of pool `{pool}`"))
            }
            Self::Pools {
                missing, unknown, ..
            } => {
                let missing = missing
                    .iter()
                    .map(|pool| Complaint::pool(pool, "is missing"));
                let unknown = unknown
                    .iter()
                    .map(|pool| Complaint::pool(pool, "is not a pool of the route"));
                missing.chain(unknown).collect()
            }
            Self::Heavy { pool, .. }
            | Self::NoBucket { pool, .. }
            | Self::Latched { pool, .. }
            | Self::Step { pool, .. } => vec![self.about(&format!("weights.{pool}"))],
            Self::NothingToDrain { .. } => vec![self.about("pool")],
            Self::AllZero | Self::AheadOfRamp { .. } => vec![self.about("weights")],
            Self::Cold { .. } => vec![self.about("cold")],
            Self::NoStepLeft { .. }
            | Self::NotHeld { .. }
            | Self::RampIsOff { .. }
            | Self::RampIsOn { .. }
            | Self::RampIsOver { .. }
            | Self::RampIsMarked { .. }
            | Self::NoRoom { .. }
            | Self::Unprobed { .. }
            | Self::WeakCanary { .. }
            | Self::OutOfHours { .. }
            | Self::WeakStable { .. } => vec![self.about("action")],
            Self::Occupied { .. } | Self::LastTarget { .. } => vec![self.about("force")],
            Self::NothingToRestore { .. } => vec![self.about("revision")],
        }
    }

    fn about(&self, key: &str) -> Complaint {
        Complaint {
            key: key.to_owned(),
            message: self.to_string(),
        }
    }
}

impl Complaint {
    fn of_targets(places: &[(usize, SocketAddr)], message: &str) -> Vec<Self> {
        let complaints = places.iter().map(|(position, address)| Self {
            key: format!("targets[{position}].address"),
            message: format!("{address} {message}"),
        });
        complaints.collect()
    }

    fn pool(pool: &str, message: &str) -> Self {
        Self {
            key: format!("weights.{pool}"),
            message: message.to_owned(),
        }
    }
}

fn word(phase: &Option<Phase>) -> String {
    let phase = phase.map_or("off", Phase::as_str);
    phase.replace('_', " ")
}

fn addresses(places: &[(usize, SocketAddr)]) -> Vec<String> {
    let addresses = places.iter().map(|(_, address)| address.to_string());
    addresses.collect()
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".into();
    }
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

fn named(label: &str, names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("{label}{}", list(names))
    }
}
