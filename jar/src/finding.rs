//! From what pools were seen to set, to what will go wrong.

use std::collections::BTreeMap;

use crate::crumb::{Act, Crumb};
use crate::pair::{self, Side};
use crate::words;

/// Findings of one route that are told, the worst first; the others when these are gone.
const MOST: usize = 100;

/// A crumb, and who left it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The pool.
    pub pool: &'a str,
    /// What it sets.
    pub crumb: &'a Crumb,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Two pools set one name for another domain or path: two cookies.
    Scope,
    /// A pool cannot delete what another one sets.
    Undeletable,
    /// Two pools set one cookie with other `Secure`, `HttpOnly` or `SameSite`.
    Flags,
    /// Two pools set one cookie for another time.
    Lifetime,
    /// A pool cannot delete what it sets itself, or empties it in place of deleting it.
    Outlives,
    /// Browsers do not take it.
    Ignored,
}

impl What {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Undeletable => "undeletable",
            Self::Flags => "flags",
            Self::Lifetime => "lifetime",
            Self::Outlives => "outlives",
            Self::Ignored => "ignored",
        }
    }

    /// Whether two pools are in each other's way; the others are one pool's own affair.
    pub const fn is_conflict(self) -> bool {
        matches!(
            self,
            Self::Scope | Self::Undeletable | Self::Flags | Self::Lifetime
        )
    }
}

/// Something that will go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: What,
    /// The name of the cookie.
    pub name: String,
    /// The pools concerned, stable first; one when the others have no part in it.
    pub pools: Vec<String>,
    /// What will happen, in one sentence.
    pub sentence: String,
    /// What to do about it, in words.
    pub advice: String,
    /// A rule for the file that does it, as TOML to paste; `None` where only the application can.
    pub rule: Option<String>,
}

/// What is wrong about what pools set, the worst first. `pools` are those of the route, stable first.
pub fn find(pools: &[&str], seen: &[Seen<'_>]) -> Vec<Finding> {
    let mut names: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    for one in seen {
        names.entry(&one.crumb.name).or_default().push(*one);
    }
    let mut findings = Vec::new();
    for (name, seen) in &names {
        let sides: Vec<_> = pools.iter().map(|pool| Side::of(pool, seen)).collect();
        for (position, one) in sides.iter().enumerate() {
            findings.extend(alone(name, one));
            for other in &sides[position + 1..] {
                findings.extend(pair::compare(name, one, other));
            }
        }
    }
    // Stable: by name within each.
    findings.sort_by_key(|finding| finding.what);
    findings.truncate(MOST);
    findings
}

/// What is wrong with a pool's cookie whatever the others do.
fn alone(name: &str, side: &Side<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some((crumb, why)) = side.ignored {
        findings.push(words::ignored(name, side.pool, crumb, why));
    }
    let own = |set: &&&Crumb| !side.deletes.iter().any(|it| it.is(set));
    let attempt = side.attempts().next();
    if let Some((set, attempt)) = side.sets.iter().find(own).zip(attempt) {
        findings.push(words::outlives(name, side.pool, set, attempt));
    } else if side.empties && side.deletes.is_empty() {
        findings.push(words::emptied(name, side.pool));
    }
    findings
}

impl<'a> Side<'a> {
    fn of(pool: &'a str, seen: &[Seen<'a>]) -> Self {
        let mut side = Side {
            pool,
            sets: Vec::new(),
            deletes: Vec::new(),
            empties: false,
            ignored: None,
        };
        for Seen { crumb, .. } in seen.iter().filter(|seen| seen.pool == pool) {
            match (crumb.ignored, crumb.act) {
                (Some(why), _) => side.ignored = Some((crumb, why)),
                (None, Act::Set) => side.sets.push(crumb),
                (None, Act::Delete) => side.deletes.push(crumb),
                (None, Act::Empty) => side.empties = true,
            }
        }
        side
    }
}

#[cfg(test)]
mod tests;
