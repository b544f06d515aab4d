//! What is seen of the requests of a route: cookies that are sent twice, and what belongs to the page of another pool.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use config::decision::{Choice, Reason};

/// Names sent twice that are told apart; more are only counted.
const NAMES: usize = 16;
/// Longest name that is kept.
const LONGEST: usize = 128;

/// Counts of one route.
#[derive(Debug, Default)]
pub struct Requests {
    /// Requests with a cookie that is sent more than once.
    pub twice: AtomicU64,
    /// Conflicts that were found last.
    pub conflicts: AtomicUsize,
    names: [Name; NAMES],
    skew: [AtomicU64; Skew::ALL.len()],
}

/// The first request of a name gives it its slot.
#[derive(Debug, Default)]
struct Name {
    name: OnceLock<Box<str>>,
    count: AtomicU64,
}

/// Why a part of a page may come from another pool than the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// The client's canary had as much as it may have.
    Cap,
    /// The client sends no cookie of ours, so each of its requests is placed by itself.
    Cookieless,
    /// The client's canary could not serve.
    Failover,
    /// The client's pool did not have it.
    Fallback,
}

impl Skew {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Cap, Self::Cookieless, Self::Failover, Self::Fallback];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Cookieless => "cookieless",
            Self::Failover => "failover",
            Self::Fallback => "fallback",
        }
    }

    /// Why a request that was served as `choice` says may not fit the page that it comes from: `referer` is of `host`.
    ///
    /// Nothing is kept of a client, so what is known is that it is another pool than the client's own, or that the client
    /// has none.
    pub fn of(choice: &Choice, host: &[u8], referer: &[u8]) -> Option<Self> {
        let cause = match choice.reason {
            Reason::Cap => Self::Cap,
            Reason::Failover => Self::Failover,
            Reason::Fallback => Self::Fallback,
            Reason::Weight if choice.new_id.is_some() => Self::Cookieless,
            _ => return None,
        };
        let start = referer.windows(3).position(|part| part == b"://")? + 3;
        let rest = &referer[start..];
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let authority = &rest[..end.unwrap_or(rest.len())];
        authority.eq_ignore_ascii_case(host).then_some(cause)
    }
}

impl Requests {
    /// A client sends a cookie called `name` more than once; the name as it is written down.
    pub fn sent_twice(&self, name: &[u8]) -> Box<str> {
        self.twice.fetch_add(1, Relaxed);
        let text = String::from_utf8_lossy(&name[..name.len().min(LONGEST)]);
        let known = self.names.iter().find(|slot| {
            let known = slot.name.get_or_init(|| text.as_ref().into());
            **known == *text
        });
        if let Some(slot) = known {
            slot.count.fetch_add(1, Relaxed);
        }
        text.into()
    }

    /// A part of a page may have come from another pool than the page.
    pub fn skewed(&self, skew: Skew) {
        self.skew[skew as usize].fetch_add(1, Relaxed);
    }

    /// Names that were sent twice, and in how many requests.
    pub fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        let named = self.names.iter();
        named.filter_map(|slot| Some((&**slot.name.get()?, slot.count.load(Relaxed))))
    }

    /// Parts of pages that may have come from another pool, by cause.
    pub fn skews(&self) -> [(Skew, u64); Skew::ALL.len()] {
        Skew::ALL.map(|skew| (skew, self.skew[skew as usize].load(Relaxed)))
    }
}
