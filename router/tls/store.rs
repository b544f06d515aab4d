//! Which certificate answers which name.

use std::collections::HashMap;
use std::sync::Arc;

use super::certificate::Certificate;

/// The certificates of a listener by name. Made as a whole, replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Store {
    exact: HashMap<String, Vec<Arc<Certificate>>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Vec<Arc<Certificate>>>,
    default: Vec<Arc<Certificate>>,
}

impl Store {
    /// A store of `all`, which is in the order of the file, at `now`, in seconds since 1970. `default` answers what nothing
    /// else is for; `None` when there is no such certificate.
    pub(super) fn new(all: &[Arc<Certificate>], default: Option<&str>, now: i64) -> Option<Self> {
        let mut store = Self::named(all, now);
        store.default = store.answering_otherwise(all, default)?;
        Some(store)
    }

    /// A store of `all` with the default of `before`; `None` when there is nothing in it.
    pub(super) fn like(before: &Self, all: &[Arc<Certificate>], now: i64) -> Option<Self> {
        let default = before.default.clone();
        let named = Self::named(all, now);
        (!all.is_empty()).then_some(Self { default, ..named })
    }

    fn named(all: &[Arc<Certificate>], now: i64) -> Self {
        let mut store = Self::default();
        for certificate in all {
            for name in &certificate.names {
                let answering = match name.strip_prefix("*.") {
                    Some(suffix) => store.wildcard.entry(suffix.to_owned()).or_default(),
                    None => store.exact.entry(name.clone()).or_default(),
                };
                answering.push(Arc::clone(certificate));
            }
        }
        for answering in store.exact.values_mut().chain(store.wildcard.values_mut()) {
            answering.sort_by_key(|certificate| certificate.rank(now));
        }
        store
    }

    /// The best certificate for `name`, which is in lower case, that `suits` the client: an exact one before a wildcard,
    /// then the default. If none suits, the best one: the handshake fails as it would anywhere.
    pub(super) fn pick(
        &self,
        name: Option<&str>,
        suits: impl Fn(&Certificate) -> bool,
    ) -> Option<&Arc<Certificate>> {
        let [exact, wildcard] = name.map_or([&[][..]; 2], |name| self.of(name));
        let all = || exact.iter().chain(wildcard).chain(&self.default);
        let mut suiting = all().filter(|certificate| suits(certificate));
        suiting.next().or_else(|| all().next())
    }

    /// Whether a request for `host` came to a wrong place: on a connection that was opened to `name`, by a certificate
    /// that is not for `host`, while another one is (RFC 9110 section 7.4). Both are in lower case.
    pub(super) fn misdirects(&self, name: &str, host: &str) -> bool {
        let mut better = self.of(host).into_iter().flatten().peekable();
        let used = self.pick(Some(name), |_| true);
        better.peek().is_some() && used.is_some_and(|used| !used.is_for(host))
    }

    /// Certificates for exactly this name, and for a wildcard that it is under.
    fn of(&self, name: &str) -> [&[Arc<Certificate>]; 2] {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = self.exact.get(name);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        [exact, wildcard].map(|found| found.map_or(&[][..], Vec::as_slice))
    }

    fn answering_otherwise(
        &self,
        all: &[Arc<Certificate>],
        default: Option<&str>,
    ) -> Option<Vec<Arc<Certificate>>> {
        let Some(wanted) = default else {
            let first = all.first()?;
            // One host may have a certificate for each kind of key.
            let twins = first.names.first().and_then(|name| self.exact.get(name));
            return Some(twins.cloned().unwrap_or_else(|| vec![Arc::clone(first)]));
        };
        let named = self.of(&wanted.to_ascii_lowercase());
        if let Some(found) = named.into_iter().find(|found| !found.is_empty()) {
            return Some(found.to_vec());
        }
        let of_file = all.iter().find(|certificate| *certificate.name == *wanted);
        of_file.map(|certificate| vec![Arc::clone(certificate)])
    }
}

#[cfg(test)]
mod tests;
