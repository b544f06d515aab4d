//! What a ledger says: findings first, by evidence.

use std::collections::BTreeMap;

use canary::paired::{self, Pairs};
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::{Endpoint, Ledger, Tally};
use super::ratios::Ratios;

/// Chance of any false finding in a whole ledger, however often one looks.
pub(super) const ALPHA: f64 = 0.001;
/// Differences without enough evidence that are shown.
const MOST_SUSPECTS: usize = 20;
/// Endpoints that are shown.
const MOST_ENDPOINTS: usize = 50;

/// The shadow of one route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShadowView {
    /// The route.
    pub route: String,
    /// The pool that gets the copies.
    pub pool: String,
    /// How many of the route's clients have their requests copied.
    pub percent: f64,
    /// `off`, `plain`, or `noise` with a second call to the serving pool.
    pub compare: &'static str,
    /// Since when answers are compared: when the table last changed, or the start.
    pub since: String,
    /// Copies by what became of them, since the start.
    pub copies: BTreeMap<&'static str, u64>,
    /// Copies that are underway.
    pub in_flight: u32,
    /// Bytes of all copies that there are, and of answers that are compared.
    pub bytes: u64,
    /// Copies that were written down; none without `record`.
    pub recorded: Option<RecordedView>,
    /// What answers showed; none when they are not compared.
    pub report: Option<Report>,
}

/// Copies that were written down.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecordedView {
    /// How many, since the file was opened.
    pub requests: u64,
    /// Why no more are; none while they are.
    pub ended: Option<String>,
}

/// What was compared of one route, and what differs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// Requests whose answers were compared.
    pub pairs: u64,
    /// Requests whose answers could not be compared, by whose answer was missing.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Statuses, most frequent first.
    pub statuses: Vec<StatusPair>,
    /// Times to the head of an answer.
    pub latency: LatencyView,
    /// Differences with enough evidence, by evidence.
    pub findings: Vec<Difference>,
    /// The others that look most like one.
    pub suspects: Vec<Difference>,
    /// Endpoints, most asked for first.
    pub endpoints: Vec<EndpointView>,
    /// How many endpoints there are.
    pub n_endpoints: usize,
}

/// How often the pools answered with these statuses.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatusPair {
    /// The serving pool's.
    pub serving: u16,
    /// The shadow pool's.
    pub shadow: u16,
    /// How often.
    pub pairs: u64,
}

/// How many times as long answers took as the serving pool's to the same request, to a twentieth.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LatencyView {
    /// The shadow pool.
    pub shadow: Option<Spread>,
    /// The serving pool, asked once more: what a ratio is worth when nothing differs.
    pub control: Option<Spread>,
}

/// A median and a tail of ratios.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Spread {
    /// Pairs.
    pub pairs: u64,
    /// Half of them are below it.
    pub median: f64,
    /// One in a hundred is above it.
    pub p99: f64,
}

/// A facet in which answers differ.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Difference {
    /// The endpoint.
    pub endpoint: String,
    /// What differs: `status`, `header:NAME`, `cookie:NAME` (its scope), `json:PATH`, `html:text`, `html:tags`, `body`,
    /// `body:type`.
    pub field: String,
    /// Pairs of the endpoint.
    pub pairs: u64,
    /// The part of them in which serving and shadow pool differ.
    pub raw: f64,
    /// The part of them in which the serving pool differs from itself.
    pub noise: f64,
    /// Evidence that it is no noise, as a logarithm.
    pub evidence: f64,
    /// How much is enough.
    pub needed: f64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// One request whose answers differed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Example {
    /// Its id, as in the access log.
    pub request_id: String,
    /// The serving pool's value, in words that do not tell it.
    pub serving: String,
    /// The shadow pool's.
    pub shadow: String,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndpointView {
    /// Method and path; what names one thing among many is folded.
    pub endpoint: String,
    /// Pairs.
    pub pairs: u64,
    /// Facets that differed at least once.
    pub differing: usize,
    /// Times of the shadow pool, as ratios.
    pub latency: Option<Spread>,
}

impl Ledger {
    /// What it says now.
    pub fn report(&self) -> Report {
        let needed = self.needed();
        let mut differences: Vec<Difference> = self
            .endpoints
            .iter()
            .flat_map(|(name, endpoint)| {
                let differing = endpoint.differing.iter();
                differing
                    .map(move |(field, tally)| difference(name, field, endpoint, tally, needed))
            })
            .filter(|difference| difference.evidence > 0.0)
            .collect();
        differences.sort_by(|one, other| {
            let by_evidence = other.evidence.total_cmp(&one.evidence);
            by_evidence
                .then_with(|| (&one.endpoint, &one.field).cmp(&(&other.endpoint, &other.field)))
        });
        let is_enough = |difference: &Difference| difference.evidence >= needed;
        let (findings, mut suspects): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(is_enough);
        suspects.truncate(MOST_SUSPECTS);
        Report {
            pairs: self.trials,
            skipped: self.skipped.clone(),
            statuses: self.status_pairs(),
            latency: LatencyView {
                shadow: spread(&self.shadow),
                control: spread(&self.control),
            },
            findings,
            suspects,
            endpoints: self.endpoint_views(),
            n_endpoints: self.endpoints.len(),
        }
    }

    /// Every facet of every endpoint is one question, and all of them together may be answered wrong once in a thousand.
    fn needed(&self) -> f64 {
        let questions: usize = self
            .endpoints
            .values()
            .map(|endpoint| endpoint.facets.max(endpoint.differing.len()))
            .sum();
        paired::threshold(ALPHA, questions)
    }

    fn status_pairs(&self) -> Vec<StatusPair> {
        let pairs = self.statuses.iter();
        let mut pairs: Vec<_> = pairs
            .map(|((serving, shadow), n)| StatusPair {
                serving: *serving,
                shadow: *shadow,
                pairs: *n,
            })
            .collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.pairs));
        pairs
    }

    fn endpoint_views(&self) -> Vec<EndpointView> {
        let mut views: Vec<_> = self
            .endpoints
            .iter()
            .map(|(name, endpoint)| EndpointView {
                endpoint: name.clone(),
                pairs: endpoint.trials,
                differing: endpoint.differing.len(),
                latency: spread(&endpoint.shadow),
            })
            .collect();
        views.sort_by(|one, other| {
            other
                .pairs
                .cmp(&one.pairs)
                .then_with(|| one.endpoint.cmp(&other.endpoint))
        });
        views.truncate(MOST_ENDPOINTS);
        views
    }
}

fn difference(
    name: &str,
    field: &str,
    endpoint: &Endpoint,
    tally: &Tally,
    needed: f64,
) -> Difference {
    let pairs = Pairs {
        n: endpoint.trials,
        candidate: tally.only_raw,
        control: tally.only_noise,
    };
    let part = |n: u64| n as f64 / endpoint.trials.max(1) as f64;
    let examples = tally.examples.iter().map(|seen| Example {
        request_id: seen.request_id.clone(),
        serving: seen.serving.clone(),
        shadow: seen.shadow.clone(),
    });
    Difference {
        endpoint: name.to_owned(),
        field: field.to_owned(),
        pairs: endpoint.trials,
        raw: part(tally.raw),
        noise: part(tally.noise),
        evidence: paired::log_evidence(pairs),
        needed,
        examples: examples.collect(),
    }
}

fn spread(ratios: &Ratios) -> Option<Spread> {
    Some(Spread {
        pairs: ratios.len(),
        median: ratios.quantile(0.5)?,
        p99: ratios.quantile(0.99)?,
    })
}
