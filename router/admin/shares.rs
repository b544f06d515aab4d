//! Shares of a route's pools: what was asked for, what came, and why that differs.

use std::collections::BTreeMap;

use config::live::{self, LiveRoute};
use config::model;
use serde::Serialize;

use super::Admin;
use crate::control::DriftView;

/// Shares by pool, 0 to 1; `null` before anything was measured.
#[derive(Default, Serialize, utoipa::ToSchema)]
pub(super) struct Shares {
    /// By the weights.
    asked: BTreeMap<String, f64>,
    /// Of users seen since the weights changed.
    users: BTreeMap<String, Option<f64>>,
    /// Of requests since then, whoever sent them to a pool.
    requests: BTreeMap<String, Option<f64>>,
    /// How far chance can be the reason for other parts than were asked for, and what else is; empty before the first request.
    drift: BTreeMap<String, DriftView>,
}

/// Those of `route`.
pub(super) fn of(admin: &Admin, route: &model::Route, live: &LiveRoute) -> Shares {
    let measured = admin.control.house().shares(&route.name);
    let pools = || live.weights.keys();
    let of = |pool: &String| measured.iter().find(|share| share.pool == *pool);
    Shares {
        asked: pools()
            .map(|pool| (pool.clone(), live::Share::of(&live.weights, pool).ratio()))
            .collect(),
        users: pools()
            .map(|pool| (pool.clone(), of(pool).and_then(|share| share.users)))
            .collect(),
        requests: pools()
            .map(|pool| (pool.clone(), of(pool).and_then(|share| share.requests)))
            .collect(),
        drift: pools()
            .filter_map(|pool| Some((pool.clone(), of(pool)?.drift.clone()?)))
            .collect(),
    }
}
