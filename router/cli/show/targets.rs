//! Targets of a pool: how each is, and what registering and deregistering did.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::answers::{Changed, Target};
use super::super::execute::Surroundings;
use super::super::offline::{command, pretty};
use super::super::table::Table;
use super::super::words::{clean, quoted, since};
use super::change::told;
use super::{BOLD, paint};

/// `kanaria targets list POOL`, or of one target alone.
pub(super) fn list(answer: &Value, pool: Option<&str>, surroundings: &Surroundings) -> String {
    let targets = match answer {
        Value::Array(_) => Vec::<Target>::deserialize(answer),
        _ => Target::deserialize(answer).map(|target| vec![target]),
    };
    let Ok(targets) = targets else {
        return pretty(answer);
    };
    let pool = pool.unwrap_or_default();
    let mut table = Table::new(
        &[
            "  TARGET",
            "STATE",
            "FOR",
            "WEIGHT",
            "IN FLIGHT",
            "NAMED BY",
            "WHY",
        ],
        &[2, 3, 4],
    );
    for target in &targets {
        table.row(row(target, surroundings));
    }
    let mut text = paint(&clean(pool), BOLD, surroundings);
    if let Value::Array(_) = answer {
        text.push_str(&format!("   {}", count(&targets)));
    }
    text.push('\n');
    if !table.is_empty() {
        text.push_str(&table.print(surroundings.width));
    }
    text.push_str(&format!("\n{}\n", next(pool, &targets)));
    text
}

/// `kanaria targets register POOL ADDR ...`.
pub(super) fn registered(
    answer: &Value,
    pool: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    let titles = [
        "registered at pool",
        "nothing to do: registered already at pool",
    ];
    changed(answer, titles, pool, surroundings)
}

/// `kanaria targets deregister POOL ADDR ...`.
pub(super) fn deregistered(
    answer: &Value,
    pool: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    let titles = [
        "deregistered from pool",
        "nothing to do: deregistered already from pool",
    ];
    changed(answer, titles, pool, surroundings)
}

/// The first title is for an answer that tells of a change, the second for one that tells of none.
fn changed(
    answer: &Value,
    [done, idle]: [&str; 2],
    pool: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    told(answer, surroundings, |changed| {
        let moved = moved(changed);
        let title = if moved.iter().any(Moved::changes) {
            done
        } else {
            idle
        };
        tell(title, pool, &moved, surroundings)
    })
}

/// The weight of a target before and after; `None` while it is none of the pool.
struct Moved {
    address: String,
    before: Option<u64>,
    after: Option<u64>,
}

impl Moved {
    fn changes(&self) -> bool {
        self.before != self.after
    }
}

fn moved(changed: &Changed) -> Vec<Moved> {
    let Some(after) = changed.after.as_object() else {
        return Vec::new();
    };
    let moved = after.iter().map(|(address, weight)| Moved {
        address: address.clone(),
        before: changed.before.get(address).and_then(Value::as_u64),
        after: weight.as_u64(),
    });
    moved.collect()
}

fn tell(
    title: &str,
    pool: Option<&str>,
    moved: &[Moved],
    surroundings: &Surroundings,
) -> (String, String, String) {
    let pool = pool.unwrap_or_default();
    let mut table = Table::new(&["  TARGET", "WEIGHT", "", ""], &[1, 3]);
    let weight = |weight: Option<u64>| weight.map_or_else(|| "-".into(), |it| it.to_string());
    for one in moved {
        let address = format!("  {}", clean(&one.address));
        table.row(vec![
            address,
            weight(one.before),
            "→".into(),
            weight(one.after),
        ]);
    }
    let mut next = format!("look: {}", command(&["targets", "list", pool]));
    if let Some(undo) = undo(pool, moved) {
        next.push_str(&format!("     as before: {undo}"));
    }
    let title = format!("{title} {}", clean(pool));
    (title, table.print(surroundings.width), next)
}

/// What brings every target back to the weight it had, or out again.
fn undo(pool: &str, moved: &[Moved]) -> Option<String> {
    let mut by_weight = BTreeMap::<Option<u64>, Vec<&str>>::new();
    for one in moved.iter().filter(|one| one.changes()) {
        by_weight.entry(one.before).or_default().push(&one.address);
    }
    let commands = by_weight.into_iter().map(|(before, addresses)| {
        let weight = before.map(|weight| weight.to_string());
        let mut words = match &weight {
            None => vec!["targets", "deregister", pool],
            Some(weight) => vec!["targets", "register", "--weight", weight, pool],
        };
        words.extend(addresses);
        command(&words)
    });
    let commands: Vec<_> = commands.collect();
    (!commands.is_empty()).then(|| commands.join(" && "))
}

fn row(target: &Target, surroundings: &Surroundings) -> Vec<String> {
    let time = target.since.as_deref();
    vec![
        format!("  {}", clean(&target.address)),
        clean(&target.state),
        time.and_then(|time| since(time, surroundings.now))
            .unwrap_or_else(|| "-".into()),
        target.weight.to_string(),
        target.in_flight.to_string(),
        target.source.as_deref().map_or_else(|| "-".into(), clean),
        why(target),
    ]
}

fn why(target: &Target) -> String {
    let seen = target.description.as_deref().map(clean);
    let state = target.reason.as_deref().map(|reason| match seen {
        Some(seen) => format!("{}: {seen}", clean(reason)),
        None => clean(reason),
    });
    let change = target.change.as_ref().map(|change| {
        let actor = clean(&change.actor);
        match &change.reason {
            Some(reason) => format!("{actor}: {}", quoted(reason)),
            None => actor,
        }
    });
    let told: Vec<_> = state.into_iter().chain(change).collect();
    told.join(", ")
}

fn count(targets: &[Target]) -> String {
    let of = |state: &str| targets.iter().filter(|it| it.state == state).count();
    let n_members = targets.len() - of("draining") - of("unused");
    let mut text = format!("{} of {n_members} targets take requests", of("healthy"));
    for state in ["draining", "unused"] {
        if of(state) > 0 {
            text.push_str(&format!(", {} {state}", of(state)));
        }
    }
    text
}

/// The way back of what stands out first, then the other verb.
fn next(pool: &str, targets: &[Target]) -> String {
    let first = |out: bool| {
        let mut targets = targets.iter();
        let found = targets.find(|it| matches!(it.state.as_str(), "draining" | "unused") == out);
        found.map_or("ADDR", |target| target.address.as_str())
    };
    let register = command(&["targets", "register", pool, first(true)]);
    let deregister = command(&["targets", "deregister", pool, first(false)]);
    format!("put in: {register}     take out: {deregister}")
}
