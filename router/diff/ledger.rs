//! Counts of pairs that differ, by endpoint and facet; bounded, whatever clients ask for.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::facet::Page;
use super::ratios::Ratios;

/// Endpoints that are told apart; requests of further ones are counted together.
const MOST_ENDPOINTS: usize = 256;
/// Facets of an endpoint that are told apart once they differed.
const MOST_FACETS: usize = 200;
/// Examples of a facet that are kept.
const MOST_EXAMPLES: usize = 3;
/// What further endpoints are called.
const OTHERS: &str = "(others)";

/// All that was compared of one route.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) trials: u64,
    pub(super) skipped: BTreeMap<&'static str, u64>,
    pub(super) statuses: BTreeMap<(u16, u16), u64>,
    pub(super) shadow: Ratios,
    pub(super) control: Ratios,
    pub(super) endpoints: HashMap<String, Endpoint>,
}

/// What was compared of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoint {
    pub(super) trials: u64,
    /// The most facets that a pair of answers had: so many questions were asked of it.
    pub(super) facets: usize,
    pub(super) differing: HashMap<String, Tally>,
    pub(super) shadow: Ratios,
}

/// How often one facet of an endpoint differed.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Between serving pool and shadow pool.
    pub(super) raw: u64,
    /// Between the serving pool and itself.
    pub(super) noise: u64,
    /// Between serving pool and shadow pool, and not between the serving pool and itself.
    pub(super) only_raw: u64,
    /// The other way round.
    pub(super) only_noise: u64,
    pub(super) examples: Vec<Seen>,
}

/// One difference, in words that tell no value.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) request_id: String,
    pub(super) serving: String,
    pub(super) shadow: String,
}

/// The answers to one request.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The endpoint, as `endpoint` says.
    pub endpoint: &'a str,
    /// The request's id, by which its line is found in the access log.
    pub request_id: &'a str,
    /// What the client got, before our marks.
    pub serving: &'a Page,
    /// What the shadow pool answered.
    pub shadow: &'a Page,
    /// What the serving pool answered when it was asked once more; `None` without noise control.
    pub control: Option<&'a Page>,
    /// How long each took to the head of its answer.
    pub times: Times,
}

/// Times to the heads of answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Of the serving pool.
    pub serving: Duration,
    /// Of the shadow pool.
    pub shadow: Duration,
    /// Of the serving pool, asked once more.
    pub control: Option<Duration>,
}

/// Why the answers to a request were not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The serving pool did not answer the request, or not to the end.
    Serving,
    /// The shadow pool did not answer in time, or not at all; `kanaria_shadow_total` says why.
    Shadow,
    /// The serving pool did not answer the second call, or may not be asked twice.
    Control,
    /// The client had the answer already (304), which the shadow pool cannot know.
    NotModified,
}

impl Skipped {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Shadow => "shadow",
            Self::Control => "control",
            Self::NotModified => "not_modified",
        }
    }
}

impl Ledger {
    /// The answers to a request cannot be compared.
    pub fn skip(&mut self, why: Skipped) {
        *self.skipped.entry(why.as_str()).or_default() += 1;
    }

    /// Compares the answers to one request.
    pub fn take(&mut self, trial: &Trial<'_>) {
        self.trials += 1;
        let statuses = (trial.serving.status, trial.shadow.status);
        // Statuses are three digits: there are at most a million pairs, and a handful in fact.
        if self.statuses.len() < MOST_ENDPOINTS || self.statuses.contains_key(&statuses) {
            *self.statuses.entry(statuses).or_default() += 1;
        }
        let Times {
            serving,
            shadow,
            control,
        } = trial.times;
        let base = serving.as_secs_f64();
        self.shadow.add(shadow.as_secs_f64(), base);
        if let Some(control) = control {
            self.control.add(control.as_secs_f64(), base);
        }
        let is_known = self.endpoints.contains_key(trial.endpoint);
        let name = if is_known || self.endpoints.len() < MOST_ENDPOINTS {
            trial.endpoint
        } else {
            OTHERS
        };
        let endpoint = match self.endpoints.get_mut(name) {
            Some(endpoint) => endpoint,
            None => self.endpoints.entry(name.to_owned()).or_default(),
        };
        endpoint.take(trial);
        endpoint.shadow.add(shadow.as_secs_f64(), base);
    }
}

impl Endpoint {
    fn take(&mut self, trial: &Trial<'_>) {
        self.trials += 1;
        let facets = trial.serving.facets.len().max(trial.shadow.facets.len());
        self.facets = self.facets.max(facets);
        let raw = trial.serving.differences(trial.shadow);
        let noise = trial
            .control
            .map(|control| trial.serving.differences(control));
        let noise = noise.unwrap_or_default();
        for name in &raw {
            let is_noise = noise.contains(name);
            let Some(tally) = self.tally(name) else {
                continue;
            };
            tally.raw += 1;
            if is_noise {
                tally.noise += 1;
            } else {
                tally.only_raw += 1;
                tally.show(name, trial);
            }
        }
        for name in noise.iter().filter(|name| !raw.contains(name)) {
            if let Some(tally) = self.tally(name) {
                tally.noise += 1;
                tally.only_noise += 1;
            }
        }
    }

    fn tally(&mut self, name: &str) -> Option<&mut Tally> {
        if !self.differing.contains_key(name) && self.differing.len() >= MOST_FACETS {
            return None;
        }
        Some(self.differing.entry(name.to_owned()).or_default())
    }
}

impl Tally {
    fn show(&mut self, name: &str, trial: &Trial<'_>) {
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(Seen {
                request_id: trial.request_id.to_owned(),
                serving: trial.serving.shown(name),
                shadow: trial.shadow.shown(name),
            });
        }
    }
}
