//! Why pools have another part of the requests than was asked for, in a line each.

use super::super::answers::{Drift, Range, Route};
use super::super::words::{clean, count, percent};

/// Canaries whose part of the requests is off by more than chance: by how much, and why. What stable has is the rest.
pub(super) fn told(route: &Route) -> String {
    let lines = canaries(route).filter_map(|(pool, asked, drift)| {
        let Range { low, high } = drift.requests;
        let requests = route.share.requests.of(pool)?;
        (asked < low || asked > high).then(|| {
            format!(
                "  {} has {} of the requests, not {}: {}\n",
                clean(pool),
                percent(requests),
                percent(asked),
                causes(drift)
            )
        })
    });
    lines.collect()
}

/// Where the parts of canaries would lie by chance alone.
pub(super) fn by_chance(route: &Route) -> String {
    let range = |Range { low, high }| {
        let low = percent(low);
        format!("{} to {}", low.trim_end_matches(" %"), percent(high))
    };
    let lines = canaries(route).map(|(pool, _, drift)| {
        let (users, requests) = (range(drift.users), range(drift.requests));
        let pool = clean(pool);
        format!("  {pool} with 95 %: {users} of the users, {requests} of the requests\n")
    });
    lines.collect()
}

/// Canaries of which something was counted, with the share asked for.
fn canaries(route: &Route) -> impl Iterator<Item = (&str, f64, &Drift)> {
    let counted = route.share.drift.iter();
    let counted = counted.filter(|(pool, _)| Some(*pool) != route.stable.as_deref());
    counted.filter_map(|(pool, drift)| {
        let asked = route.share.asked.of(pool)?;
        Some((pool, asked, drift))
    })
}

/// The causes that matter, in percent points, the largest first.
fn causes(drift: &Drift) -> String {
    let causes = drift.causes.iter();
    let causes = causes.map(|(cause, part)| (cause, part.moves * 100.0, part.requests));
    let mut causes: Vec<_> = causes.filter(|it| it.1.abs() >= 0.005).collect();
    causes.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()));
    let told = causes.iter().map(|(cause, points, requests)| {
        let requests = count(*requests as usize, "request");
        match *cause {
            "users" => format!("which users came {points:+.2}"),
            "heavy_users" => format!("users who send more than others or less {points:+.2}"),
            "cookieless" => format!("clients without a cookie {points:+.2} ({requests})"),
            other => format!("{} {points:+.2} ({requests})", clean(other)),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}
