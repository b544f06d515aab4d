//! What differs between answers to one request: field by field, endpoint by endpoint, with evidence.
//!
//! Plain values only. An answer becomes facets, each a name and a hash, so that nothing of what users see is kept; three
//! answers (of the serving pool, of the shadow pool, and of the serving pool once more) become counts of pairs that
//! differ; and counts become findings. Nothing here knows pools, connections or a clock.

mod body;
mod endpoint;
mod facet;
mod fields;
mod ledger;
mod ratios;
mod report;

pub use body::{Body, LONGEST_BODY};
pub use endpoint::endpoint;
pub use facet::{Facet, Page, page};
pub use ledger::{Ledger, Skipped, Times, Trial};
pub use report::{
    Difference, EndpointView, Example, LatencyView, RecordedView, Report, ShadowView, Spread,
    StatusPair,
};

#[cfg(test)]
mod tests;
