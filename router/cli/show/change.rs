//! What a change did: before and after, who moves, since when it is in force, how to undo it.

use serde::Deserialize;
use serde_json::Value;

use super::super::answers::{Changed, Moved, Weights, moves, share_of};
use super::super::execute::Surroundings;
use super::super::offline::{command, pretty};
use super::super::table::Table;
use super::super::words::{clean, percent};
use super::{BOLD, GREEN, RED, YELLOW, paint};

/// `kanaria weights ROUTE ...`.
pub(super) fn weights(answer: &Value, route: Option<&str>, surroundings: &Surroundings) -> String {
    told(answer, surroundings, |changed| {
        let moved = moves(&changed.before, &changed.after, route);
        let title = match moved.first() {
            Some(one) if !one.moves() => "the weights are what they were",
            _ => "weights set",
        };
        (
            title.into(),
            table(&moved, surroundings),
            undo(changed, &moved),
        )
    })
}

/// `kanaria rollback`.
pub(super) fn rolled_back(
    answer: &Value,
    route: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    told(answer, surroundings, |changed| {
        let moved = moves(&changed.before, &changed.after, route);
        let what = match route {
            Some(route) => format!("route {}", clean(route)),
            None => "every route".into(),
        };
        let title = if moved.iter().any(Moved::moves) {
            format!("rolled back: {what} is at 100 % stable")
        } else {
            format!("nothing to roll back: {what} was at 100 % stable already")
        };
        let next = format!(
            "canaries stay at 0 until: {}",
            command(&["resume", route.unwrap_or("ROUTE")])
        );
        (title, table(&moved, surroundings), next)
    })
}

/// `kanaria resume ROUTE`.
pub(super) fn resumed(answer: &Value, route: Option<&str>, surroundings: &Surroundings) -> String {
    told(answer, surroundings, |_| {
        let route = route.unwrap_or("ROUTE");
        let title = format!(
            "{}: canaries may be raised again; no traffic moved",
            clean(route)
        );
        (
            title,
            String::new(),
            format!("raise one: {}", command(&["weights", route, "POOL=WEIGHT"])),
        )
    })
}

/// `kanaria annotate TEXT`.
pub(super) fn annotated(answer: &Value, surroundings: &Surroundings) -> String {
    told(answer, surroundings, |_| {
        let next = format!("look: {}", command(&["history"]));
        ("noted; no weight changed".into(), String::new(), next)
    })
}

/// `kanaria restore REVISION`.
pub(super) fn restored(answer: &Value, surroundings: &Surroundings) -> String {
    told(answer, surroundings, |changed| {
        let moved = moves(&changed.before, &changed.after, None);
        let title = if moved.iter().any(Moved::moves) {
            "restored"
        } else {
            "the weights are what they were"
        };
        (
            title.into(),
            table(&moved, surroundings),
            undo(changed, &moved),
        )
    })
}

/// `kanaria reshuffle ROUTE`.
pub(super) fn reshuffled(
    answer: &Value,
    route: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    told(answer, surroundings, |_| {
        let route = route.unwrap_or_default();
        let title = format!(
            "{}: every user of its cohort has a new bucket",
            clean(route)
        );
        (
            title,
            String::new(),
            format!("look: {}", command(&["status", route])),
        )
    })
}

/// `kanaria reload`.
pub(super) fn reloaded(answer: &Value, surroundings: &Surroundings) -> String {
    told(answer, surroundings, |changed| {
        let mut moved = moves(&changed.before, &changed.after, None);
        moved.retain(Moved::moves);
        let digest = changed.config_digest.as_deref().unwrap_or_default();
        let digest = match digest {
            "" => String::new(),
            digest => format!(", config {}", clean(digest)),
        };
        let mut body = table(&moved, surroundings);
        if moved.is_empty() {
            body.push_str("live weights are unchanged\n");
        }
        for held in &changed.held {
            body.push_str(&held_line(held, surroundings));
        }
        (
            format!("reloaded{digest}"),
            body,
            "look: kanaria status".into(),
        )
    })
}

/// A headline with the revision, what moved, warnings, how long it took, what to type next.
pub(super) fn told(
    answer: &Value,
    surroundings: &Surroundings,
    tell: impl FnOnce(&Changed) -> (String, String, String),
) -> String {
    let Ok(changed) = Changed::deserialize(answer) else {
        return pretty(answer);
    };
    let (title, body, next) = tell(&changed);
    let notes = notes(&changed, surroundings);
    if changed.dry_run {
        let heading = paint(
            "dry run, nothing is changed; without --dry-run:",
            BOLD,
            surroundings,
        );
        return format!("{heading}\n{title}\n{body}{notes}");
    }
    let title = paint(&title, GREEN, surroundings);
    format!("{title}\n{body}{}\n{notes}{next}\n", force_line(&changed))
}

fn force_line(changed: &Changed) -> String {
    let durable = match changed.durable {
        Some(true) => ", written down",
        _ => "",
    };
    match changed.in_force_ms {
        Some(ms) => format!(
            "in force after {} ms{durable}, revision {}",
            round(ms),
            changed.revision
        ),
        None => format!("revision {}{durable}", changed.revision),
    }
}

fn round(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

fn notes(changed: &Changed, surroundings: &Surroundings) -> String {
    let mut text = String::new();
    if changed.durable == Some(false) && !changed.dry_run {
        let loud = "NOT WRITTEN DOWN: it is in force, but a restart before it can be written would undo it.\n\
                    The router keeps trying; make its state_dir writable, then look: kanaria status";
        text.push_str(&format!("{}\n", paint(loud, RED, surroundings)));
    }
    for warning in &changed.warnings {
        let warning = format!("warning: {}", clean(warning));
        text.push_str(&format!("{}\n", paint(&warning, YELLOW, surroundings)));
    }
    if let Some(note) = &changed.note {
        text.push_str(&format!("note: {}\n", clean(note)));
    }
    text
}

fn held_line(held: &Value, surroundings: &Surroundings) -> String {
    let word = |key: &str| held.get(key).and_then(Value::as_str).unwrap_or("?");
    let line = format!("held: {}: {}", clean(word("route")), clean(word("reason")));
    format!("{}\n", paint(&line, YELLOW, surroundings))
}

/// One row a pool: where its share was, and is.
fn table(moved: &[Moved], surroundings: &Surroundings) -> String {
    let mut table = Table::new(
        &[
            "  ROUTE", "POOL", "WEIGHT", "", "", "SHARE", "", "", "USERS",
        ],
        &[2, 4, 5, 7],
    );
    for one in moved {
        let mut route = format!("  {}", clean(&one.route));
        let mut users = one.users();
        for (pool, after) in one.after.iter() {
            let before = one.before.get(pool).copied();
            table.row(vec![
                std::mem::take(&mut route),
                clean(pool),
                before.map_or_else(|| "-".into(), |weight| weight.to_string()),
                "→".into(),
                after.to_string(),
                before.map_or_else(|| "-".into(), |_| percent(share_of(&one.before, pool))),
                "→".into(),
                percent(share_of(&one.after, pool)),
                std::mem::take(&mut users),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    table.print(surroundings.width)
}

fn undo(changed: &Changed, moved: &[Moved]) -> String {
    let route = match moved {
        [one] => one.route.as_str(),
        _ => "",
    };
    let before = changed.revision.saturating_sub(1).to_string();
    let rollback = if route.is_empty() {
        command(&["rollback"])
    } else {
        command(&["rollback", route])
    };
    if !moved.iter().any(Moved::moves) || before == "0" {
        return format!("back to stable at once: {rollback}");
    }
    format!(
        "as before: {}     back to stable at once: {rollback}",
        command(&["restore", &before])
    )
}

impl Moved {
    fn moves(&self) -> bool {
        self.after
            .iter()
            .any(|(pool, after)| self.before.get(pool) != Some(after))
    }

    /// How many users change their pool. With more than two pools the order of the edges decides how
    /// many more, which only the router knows.
    fn users(&self) -> String {
        if self.before.is_empty() {
            return "new".into();
        }
        let change = |pool: &str| share_of(&self.after, pool) - share_of(&self.before, pool);
        let gains: Vec<(&str, f64)> = pools(&self.after, &self.before)
            .map(|pool| (pool, change(pool)))
            .filter(|(_, change)| change.abs() > f64::EPSILON)
            .collect();
        let total: f64 = gains.iter().map(|(_, gain)| gain.max(0.0)).sum();
        let from = gains.iter().find(|(_, gain)| *gain < 0.0);
        let to = gains.iter().find(|(_, gain)| *gain > 0.0);
        match (gains.len(), from, to) {
            (0, ..) => "nobody moves".into(),
            (2, Some((from, _)), Some((to, _))) => {
                format!("{} move {} → {}", percent(total), clean(from), clean(to))
            }
            _ => format!("at least {} move", percent(total)),
        }
    }
}

fn pools<'a>(after: &'a Weights, before: &'a Weights) -> impl Iterator<Item = &'a str> {
    let gone = before.iter().filter(|(pool, _)| after.get(pool).is_none());
    after.iter().chain(gone).map(|(pool, _)| pool)
}
