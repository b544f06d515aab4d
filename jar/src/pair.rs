//! Two pools and one name: whether their cookies get into each other's way.

use std::collections::BTreeSet;

use crate::crumb::{Crumb, Flags, Span};
use crate::finding::Finding;
use crate::scope::{Ignored, domain_match, path_match};
use crate::words;

/// What one pool does with a name.
pub(crate) struct Side<'a> {
    pub(crate) pool: &'a str,
    /// Cookies that it sets.
    pub(crate) sets: Vec<&'a Crumb>,
    /// Cookies that it makes browsers forget.
    pub(crate) deletes: Vec<&'a Crumb>,
    /// It sets some to nothing.
    pub(crate) empties: bool,
    /// One that browsers do not take, and why.
    pub(crate) ignored: Option<(&'a Crumb, Ignored)>,
}

impl<'a> Side<'a> {
    /// Deletions for their own sake, as a logout is; not those in favor of another cookie of the name.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &'a Crumb> {
        self.deletes.iter().copied().filter(|crumb| !crumb.beside)
    }

    fn sets(&self, crumb: &Crumb) -> bool {
        self.sets.iter().any(|own| own.is(crumb))
    }

    /// Whether it makes browsers forget `crumb` whenever it sets its own.
    fn gives_way(&self, crumb: &Crumb) -> bool {
        let mut beside = self.deletes.iter().filter(|own| own.beside);
        beside.any(|own| own.is(crumb))
    }
}

/// What is wrong between two pools about one name.
pub(crate) fn compare(name: &str, one: &Side<'_>, other: &Side<'_>) -> Vec<Finding> {
    let pools = [one.pool, other.pool];
    let mut findings = Vec::new();
    if let Some((set, others)) = scope(one, other) {
        findings.push(words::scope(name, pools, [set, others]));
    } else {
        let both = [(one, other), (other, one)];
        let found = both.into_iter().filter_map(|(setter, deleter)| {
            let (set, attempt) = undeletable(setter, deleter)?;
            let between = [setter.pool, deleter.pool];
            Some(words::undeletable(name, between, set, attempt))
        });
        findings.extend(found);
    }
    if let Some([own, others]) = flags(one, other) {
        findings.push(words::flags(name, pools, own, others));
    }
    if let Some([own, others]) = spans(one, other) {
        findings.push(words::lifetime(name, pools, own, others));
    }
    findings
}

/// Cookies of both that a browser holds beside each other. What both pools set is no difference between them, and what
/// each forgets in favor of its own is never there beside it.
fn scope<'a>(one: &Side<'a>, other: &Side<'a>) -> Option<(&'a Crumb, &'a Crumb)> {
    for own in &one.sets {
        for others in &other.sets {
            let is_shared = one.sets(others) && other.sets(own);
            let is_tame = one.gives_way(others) && other.gives_way(own);
            if !own.is(others) && !is_shared && !is_tame && meet(own, others) {
                return Some((own, others));
            }
        }
    }
    None
}

/// Whether any request carries both. Which hosts a cookie without a domain is for is not counted: it is each of the route.
fn meet(one: &Crumb, other: &Crumb) -> bool {
    let domains = match (&one.domain, &other.domain) {
        (Some(one), Some(other)) => {
            domain_match(one, other.as_bytes()) || domain_match(other, one.as_bytes())
        }
        _ => true,
    };
    domains && (path_match(&one.path, &other.path) || path_match(&other.path, &one.path))
}

/// A cookie of `setter` that `deleter` tries to delete and misses.
fn undeletable<'a>(setter: &Side<'a>, deleter: &Side<'a>) -> Option<(&'a Crumb, &'a Crumb)> {
    let attempt = deleter.attempts().next()?;
    let missed = |set: &&&Crumb| !deleter.deletes.iter().any(|own| own.is(set));
    let set = setter.sets.iter().find(missed)?;
    // What it misses of its own, it is told by itself.
    (!deleter.sets(set)).then_some((set, attempt))
}

/// Flags of a cookie that both set, when no flags of one are flags of the other.
fn flags(one: &Side<'_>, other: &Side<'_>) -> Option<[Flags; 2]> {
    disjoint(one, other, |crumb| crumb.flags)
}

fn spans(one: &Side<'_>, other: &Side<'_>) -> Option<[Span; 2]> {
    disjoint(one, other, |crumb| crumb.span)
}

fn disjoint<T: Ord + Copy>(
    one: &Side<'_>,
    other: &Side<'_>,
    part: impl Fn(&Crumb) -> T,
) -> Option<[T; 2]> {
    one.sets.iter().find_map(|set| {
        let parts = |side: &Side<'_>| -> BTreeSet<T> {
            let same = side.sets.iter().filter(|crumb| crumb.is(set));
            same.map(|crumb| part(crumb)).collect()
        };
        let (own, others) = (parts(one), parts(other));
        let (first, second) = (*own.first()?, *others.first()?);
        own.is_disjoint(&others).then_some([first, second])
    })
}
