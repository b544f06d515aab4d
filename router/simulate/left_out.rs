//! What of a file a simulation leaves out, so that nobody takes its silence for an answer.

use config::ids::RouteId;
use config::live;
use config::model;
use config::scenario::Scenario;
use config::snapshot::Structure;

/// What no simulation has.
const ALWAYS: &str = "connections, bodies, WebSockets, health checks, retries, timeouts and ejection of targets, and time that a target needs because it is busy";

/// What a run of `scenario` leaves out of the route, in words.
pub(super) fn left_out(structure: &Structure, route: RouteId, scenario: &Scenario) -> Vec<String> {
    let settings = &structure.routes[route.0 as usize].settings;
    let others = structure.routes.len() > 1;
    let only = "the other routes of the file: clients ask this one only";
    let mut left_out = vec![ALWAYS.to_owned()];
    left_out.extend(others.then(|| only.to_owned()));
    left_out.extend(unjudged(settings));
    left_out.extend(probe(settings, scenario));
    left_out.extend(cap(settings));
    if !settings.fallback.is_empty() {
        let text = "`fallback`: no other pool is asked when the answer is 404";
        left_out.push(text.to_owned());
    }
    if settings.shadow.is_some() {
        left_out.push("`shadow`: no copy is sent, and nothing is compared".to_owned());
    }
    left_out.extend(full(structure, settings));
    left_out.extend(clients(structure));
    left_out
}

/// Without a guard harm is done and nobody takes it back, which looks like a guard that sees nothing.
fn unjudged(route: &model::Route) -> Option<String> {
    let text = match (&route.guard, &route.ramp) {
        (Some(_), _) => return None,
        (None, Some(_)) => {
            "a guard, for the route has no `[routes.guard]`: harm may hold the ramp, and nothing is taken back"
        }
        (None, None) => {
            "a guard, for the route has no `[routes.guard]`: nobody judges its canaries, whatever they do"
        }
    };
    Some(text.to_owned())
}

fn probe(route: &model::Route, scenario: &Scenario) -> Option<String> {
    let probe = &route.ramp.as_ref()?.probe;
    let fails = scenario.harm.iter().any(|harm| harm.probe_fails);
    let text = match fails {
        _ if probe.is_none() => return None,
        true => {
            "the ramp's `probe` is made up: it fails when the scenario says so, and passes otherwise"
        }
        false => {
            "the ramp's `probe` has nobody to ask: it passes; `probe_fails` of `[[harm]]` lets it fail"
        }
    };
    Some(text.to_owned())
}

/// What is made up of a cap.
fn cap(route: &model::Route) -> Vec<String> {
    let cap = &route.cap;
    let is_capped = cap.max_rps > 0 || cap.max_concurrent > 0;
    let one = "routers beside this one: each of a fleet lets through what `cap` says";
    let head = "`cap.max_concurrent` while a body or a WebSocket lasts: a place is given back with the head of the answer";
    let one = is_capped.then(|| one.to_owned());
    let head = (cap.max_concurrent > 0).then(|| head.to_owned());
    one.into_iter().chain(head).collect()
}

/// Pools of the route that may be full.
fn full(structure: &Structure, route: &model::Route) -> Option<String> {
    let pools = live::block(route).into_keys();
    let pools: Vec<String> = pools
        .filter(|name| {
            let pool = structure.pool_named(name);
            pool.is_some_and(|pool| {
                pool.settings.max_requests > 0 || pool.settings.max_requests_per_target > 0
            })
        })
        .collect();
    let names = pools.join(", ");
    (!pools.is_empty()).then(|| {
        format!("`max_requests` and `max_requests_per_target` of {names}: no pool is ever full")
    })
}

fn clients(structure: &Structure) -> Option<String> {
    let server = &structure.server;
    let is_bounded = server.max_rps_per_client > 0 || server.max_connections_per_client > 0;
    let text = "what `[server]` lets one client have: nobody is answered 429";
    is_bounded.then(|| text.to_owned())
}
