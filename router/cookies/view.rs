//! From crumbs to what is told of them.

use std::sync::atomic::Ordering::Relaxed;

use jar::{Act, Crumb, Finding, SameSite, Seen, Span, find};

use crate::control::{CacheableView, CookieView, CookiesView, FindingView, SkewView, TwiceView};
use crate::crumbs::{Crumbs, Sighting, Table};

/// What the crumbs of a route say at `now`, in seconds since 1970.
pub(super) fn of(crumbs: &Crumbs, now: u64) -> CookiesView {
    let tables = || crumbs.tables.iter();
    let pools: Vec<&str> = tables().map(|table| &*table.pool).collect();
    let sightings = || tables().flat_map(|table| table.sightings(now).map(move |it| (table, it)));
    let seen = sightings().map(|(table, sighting)| Seen {
        pool: &table.pool,
        crumb: sighting.crumb,
    });
    let findings = find(&pools, &seen.collect::<Vec<_>>());
    let requests = &crumbs.requests;
    let twice = requests.names().map(|(name, n)| TwiceView {
        cookie: name.to_owned(),
        requests: n,
    });
    let skew = requests.skews().map(|(skew, n)| SkewView {
        cause: skew.as_str(),
        requests: n,
    });
    let conflicts = findings.iter().filter(|it| it.what.is_conflict());
    CookiesView {
        route: crumbs.route.to_string(),
        conflicts: conflicts.count(),
        findings: findings.into_iter().map(finding).collect(),
        cookies: sightings().map(|(table, it)| cookie(table, it)).collect(),
        not_looked_at: tables().map(|table| table.beyond()).sum(),
        requests_twice: requests.twice.load(Relaxed),
        twice: twice.collect(),
        skew: skew.into_iter().filter(|it| it.requests > 0).collect(),
        cacheable: tables().filter_map(|table| cacheable(table)).collect(),
    }
}

fn finding(finding: Finding) -> FindingView {
    FindingView {
        what: finding.what.as_str(),
        conflict: finding.what.is_conflict(),
        cookie: finding.name,
        pools: finding.pools,
        sentence: finding.sentence,
        advice: finding.advice,
        rule: finding.rule,
    }
}

fn cookie(table: &Table, Sighting { crumb, count }: Sighting<'_>) -> CookieView {
    CookieView {
        pool: table.pool.to_string(),
        cookie: crumb.name.clone(),
        act: act(crumb),
        domain: crumb.domain.clone(),
        path: crumb.path.clone(),
        secure: crumb.flags.secure,
        http_only: crumb.flags.http_only,
        same_site: crumb.flags.same_site.map(SameSite::as_str),
        lifetime: match crumb.span {
            Span::Session => "session",
            Span::Day => "day",
            Span::Month => "month",
            Span::Long => "long",
        },
        host: crumb.host.clone(),
        answers: count,
    }
}

const fn act(crumb: &Crumb) -> &'static str {
    match crumb.act {
        Act::Delete => "delete",
        Act::Empty => "empty",
        Act::Set => "set",
    }
}

fn cacheable(table: &Table) -> Option<CacheableView> {
    let answers = table.cacheable.load(Relaxed);
    (answers > 0).then(|| CacheableView {
        pool: table.pool.to_string(),
        answers,
        path: table.page().map(str::to_owned),
    })
}
