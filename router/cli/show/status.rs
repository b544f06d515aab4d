//! What is live.

use serde::Deserialize;
use serde_json::Value;

use super::super::answers::{
    Budget, Cap, Discovery, Guard, Metric, Pool, Route, Spent, Status, share_of,
};
use super::super::execute::Surroundings;
use super::super::offline::{command, pretty};
use super::super::table::{Table, cut};
use super::super::words::{clean, count, duration, moment, nats, quoted, share, since};
use super::{BOLD, GREEN, RED, YELLOW, drift, paint};

/// `kanaria status`.
pub(super) fn status(answer: &Value, surroundings: &Surroundings) -> String {
    let Ok(status) = Status::deserialize(answer) else {
        return pretty(answer);
    };
    let mut text = header(&status, surroundings);
    for route in &status.routes {
        text.push('\n');
        text.push_str(&one(route, &status.pools, surroundings));
    }
    text.push_str(&others(&status, surroundings));
    text.push_str("\nback at once: kanaria rollback     who did what: kanaria history\n");
    text
}

/// `kanaria status ROUTE` and `kanaria weights ROUTE`.
pub(super) fn route(answer: &Value, surroundings: &Surroundings) -> String {
    let Ok(route) = Route::deserialize(answer) else {
        return pretty(answer);
    };
    let pools: Option<Vec<Pool>> = answer
        .get("pools")
        .and_then(|pools| Vec::deserialize(pools).ok());
    let mut text = one(&route, &pools.unwrap_or_default(), surroundings);
    if route.answer.is_none() {
        text.push_str(&drift::by_chance(&route));
        text.push_str(&format!("\n{}\n", next(&route)));
    }
    text
}

fn header(status: &Status, surroundings: &Surroundings) -> String {
    let up = since(&status.started_at, surroundings.now);
    let up = up.map_or_else(String::new, |up| format!("   up {up}"));
    let title = format!("kanaria {}", clean(&status.version));
    let mut text = format!(
        "{}   revision {}   config {}{up}\n",
        paint(&title, BOLD, surroundings),
        status.revision,
        clean(&status.config_digest),
    );
    if status.state == "new" {
        let note = "state: new. No earlier state was found at the start: routes began with the file's weights.";
        text.push_str(&format!("{}\n", paint(note, YELLOW, surroundings)));
    }
    for warning in &status.warnings {
        let warning = format!("warning: {}", clean(warning));
        text.push_str(&format!("{}\n", paint(&warning, YELLOW, surroundings)));
    }
    if status.routes.is_empty() {
        text.push_str("no routes\n");
    }
    text
}

fn one(route: &Route, pools: &[Pool], surroundings: &Surroundings) -> String {
    if let Some(answer) = &route.answer {
        let name = paint(&clean(&route.name), BOLD, surroundings);
        return format!("{name}   answers by itself: {}\n", clean(answer));
    }
    let mut text = format!("{}\n", headline(route, surroundings));
    text.push_str(&weighted(route, pools).print(surroundings.width));
    text.push_str(&drift::told(route));
    for (name, _) in route.weights.iter() {
        text.push_str(&found(
            pools.iter().find(|pool| pool.name == name),
            surroundings,
        ));
    }
    for pool in &route.draining {
        let pool = clean(pool);
        text.push_str(&format!(
            "  {pool} drains: no new clients, those pinned to it may finish\n"
        ));
    }
    if let Some(cap) = &route.cap {
        text.push_str(&format!("{}\n", capped(cap)));
    }
    if let Some(ramp) = &route.ramp {
        text.push_str(&format!("{}\n", super::ramp::line(ramp, surroundings)));
    }
    if let Some(guard) = &route.guard {
        text.push_str(&format!("{}\n", guarded(guard, surroundings)));
    }
    let of_route = pools.iter();
    let of_route = of_route.filter(|pool| route.weights.get(&pool.name).is_some());
    text.extend(of_route.map(|pool| out(pool, surroundings)));
    let set = set_by(route, surroundings);
    text.push_str(&match surroundings.width {
        Some(width) => cut(&set, width),
        None => set,
    });
    text.push('\n');
    text
}

/// The pools of a route, and what each of them was to get and got.
fn weighted(route: &Route, pools: &[Pool]) -> Table {
    let mut table = Table::new(
        &[
            "  POOL", "WEIGHT", "ASKED", "USERS", "REQUESTS", "HEALTHY", "",
        ],
        &[1, 2, 3, 4],
    );
    for (name, weight) in route.weights.iter() {
        let asked = route.share.asked.of(name);
        table.row(vec![
            format!("  {}", clean(name)),
            weight.to_string(),
            share(asked.or_else(|| Some(share_of(&route.weights, name)))),
            share(route.share.users.of(name)),
            share(route.share.requests.of(name)),
            healthy(pools.iter().find(|pool| pool.name == name)),
            if Some(name) == route.stable.as_deref() {
                "stable"
            } else {
                ""
            }
            .into(),
        ]);
    }
    table
}

fn headline(route: &Route, surroundings: &Surroundings) -> String {
    let name = paint(&clean(&route.name), BOLD, surroundings);
    let state = match route.state.as_str() {
        "rolled_back" => paint("rolled back", RED, surroundings),
        "frozen" => paint("frozen", YELLOW, surroundings),
        "normal" => paint("normal", GREEN, surroundings),
        other => clean(other),
    };
    match route.state.as_str() {
        "rolled_back" | "frozen" => {
            let resume = command(&["resume", &route.name]);
            format!("{name}   {state}: no canary can be raised until {resume}")
        }
        _ => format!("{name}   {state}"),
    }
}

/// What canaries get at most, and what they have.
fn capped(cap: &Cap) -> String {
    let mut bounds = Vec::new();
    if cap.max_rps > 0 {
        bounds.push(format!("{} requests/s", cap.max_rps));
    }
    if cap.max_concurrent > 0 {
        bounds.push(format!("{} at a time", cap.max_concurrent));
    }
    let canaries = cap.canaries.iter().map(|(name, canary)| {
        let tokens = canary
            .tokens
            .map(|tokens| format!(", {tokens} of {} tokens left", cap.max_rps));
        format!(
            "; {} has {} in flight{}",
            clean(name),
            canary.in_flight,
            tokens.unwrap_or_default()
        )
    });
    format!(
        "  cap {}{}",
        bounds.join(", "),
        canaries.collect::<String>()
    )
}

/// What the guard says, and the metric with the most evidence of harm.
fn guarded(guard: &Guard, surroundings: &Surroundings) -> String {
    let word = clean(&guard.state.replace('_', " "));
    let color = match guard.state.as_str() {
        "ok" => GREEN,
        "tripped" => RED,
        _ => YELLOW,
    };
    let part = |metric: &Metric| metric.log_evidence / metric.threshold;
    let most = guard
        .metrics
        .iter()
        .max_by(|a, b| part(a).total_cmp(&part(b)));
    let most = most.map(|metric| {
        format!(
            "; most evidence in {}: {}, {} is enough",
            clean(&metric.metric),
            nats(metric.log_evidence),
            nats(metric.threshold)
        )
    });
    let cold = (!guard.warm).then(|| {
        format!(
            "; knows {} min of stable, 180 are needed",
            guard.stable_minutes
        )
    });
    format!(
        "  guard {}: {}{}{}{}",
        paint(&word, color, surroundings),
        clean(&guard.reason),
        most.unwrap_or_default(),
        guard.budget.as_ref().map_or_else(String::new, spent),
        cold.unwrap_or_default(),
    )
}

/// What the attempt has cost, of what it may.
fn spent(budget: &Budget) -> String {
    let of = |spent: Option<Spent>, what: &str| {
        let Spent { used, allowed } = spent?;
        Some(format!("{used} of {allowed} {what}"))
    };
    let items = [
        of(budget.users, "users"),
        of(budget.extra_errors, "extra errors"),
    ];
    let items: Vec<_> = items.into_iter().flatten().collect();
    format!("; budget: {}", items.join(", "))
}

/// Whose the weights are, since when and why.
fn set_by(route: &Route, surroundings: &Surroundings) -> String {
    let mut text = match (&route.actor, route.owner.as_str()) {
        (Some(actor), _) if actor != "file" => format!("  set by {}", clean(actor)),
        (Some(_), "live") => "  set by the router".into(),
        (None, "live") => "  set by a change".into(),
        _ => "  as the file says".into(),
    };
    if let Some(time) = &route.since {
        text.push_str(&format!(", {}", moment(time, surroundings.now)));
    }
    if let Some(reason) = &route.reason {
        text.push_str(&format!(": {}", quoted(reason)));
    }
    text
}

/// How a pool finds its targets and how old that is: a line, or nothing when the file lists them.
fn found(pool: Option<&Pool>, surroundings: &Surroundings) -> String {
    let Some((pool, found)) = pool.and_then(|pool| Some((pool, pool.discovery.as_ref()?))) else {
        return String::new();
    };
    let Discovery {
        answered,
        age_s,
        failure,
        ..
    } = found;
    let (name, by, age) = (clean(&pool.name), clean(&found.by), duration(*age_s as i64));
    let line = match (failure, answered) {
        (None, true) => format!("  {name} is found by {by}, {age} ago"),
        (None, false) => format!("  {name} is looked for by {by}, for {age}"),
        (Some(why), true) => format!("  {name} was found by {by} {age} ago: now {}", clean(why)),
        (Some(why), false) => format!("  {name} is not found by {by}: {}", clean(why)),
    };
    let line = match surroundings.width {
        Some(width) => cut(&line, width),
        None => line,
    };
    let line = match failure {
        Some(_) => paint(&line, YELLOW, surroundings),
        None => line,
    };
    format!("{line}\n")
}

fn healthy(pool: Option<&Pool>) -> String {
    match pool {
        Some(Pool {
            healthy: Some(healthy),
            total: Some(total),
            deregistered,
            ..
        }) => match deregistered {
            0 => format!("{healthy} of {total}"),
            n_out => format!("{healthy} of {total}, {n_out} taken out"),
        },
        _ => "-".into(),
    }
}

/// Pools that no route gives a weight: they serve flags, or wait.
fn others(status: &Status, surroundings: &Surroundings) -> String {
    let named = |pool: &Pool| {
        let mut routes = status.routes.iter();
        routes.any(|route| route.weights.get(&pool.name).is_some())
    };
    let mut table = Table::new(&["  POOL", "HEALTHY"], &[]);
    for pool in status.pools.iter().filter(|pool| !named(pool)) {
        table.row(vec![
            format!("  {}", clean(&pool.name)),
            healthy(Some(pool)),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    let n = status.pools.iter().filter(|pool| !named(pool)).count();
    let title = format!("{} without a weight", count(n, "pool"));
    let title = paint(&title, BOLD, surroundings);
    let mut text = format!("\n{title}\n{}", table.print(surroundings.width));
    let unnamed = status.pools.iter().filter(|pool| !named(pool));
    text.extend(unnamed.map(|pool| found(Some(pool), surroundings) + &out(pool, surroundings)));
    text
}

/// The targets of a pool that are not healthy, a line each: what to look after.
fn out(pool: &Pool, surroundings: &Surroundings) -> String {
    let lines = pool.out.iter().map(|target| {
        let why = target.description.as_ref().or(target.reason.as_ref());
        let why = why.map_or_else(String::new, |why| format!(": {}", clean(why)));
        let line = format!(
            "  {} {} is {}{why}",
            clean(&pool.name),
            clean(&target.address),
            clean(&target.state)
        );
        let line = match surroundings.width {
            Some(width) => cut(&line, width),
            None => line,
        };
        format!("{}\n", paint(&line, YELLOW, surroundings))
    });
    lines.collect()
}

fn next(route: &Route) -> String {
    let mut words = vec!["weights", &route.name];
    let weights: Vec<String> = route
        .weights
        .iter()
        .map(|(pool, weight)| format!("{pool}={weight}"))
        .collect();
    words.extend(weights.iter().map(String::as_str));
    format!(
        "change: {}     back at once: {}",
        command(&words),
        command(&["rollback", &route.name])
    )
}
