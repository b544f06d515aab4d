//! The certificates of a listener as they were read: from which files, which edition of them, and what is wrong.
//!
//! A pair that cannot be read does not take the place of one that could, and what is wrong is told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use config::model::CertificateSource;

use super::certificate::{Certificate, Pair, shown};
use super::folder::{self, Stamp};

/// Pairs that are worth a thread: it takes as long to read some dozens as to start one.
const WORTH: usize = 64;

/// What was read from the sources of a listener.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// In the order of the file, a folder's in the order of their names.
    slots: Vec<Slot>,
    /// Folders that could not be listed, by their position.
    unlisted: BTreeMap<usize, String>,
    /// Seconds since 1970.
    looked: i64,
}

/// A pair of files, and what came of reading it.
#[derive(Clone, Debug)]
struct Slot {
    source: usize,
    pair: Pair,
    stamps: [Option<Stamp>; 2],
    certificate: Option<Arc<Certificate>>,
    failure: Option<String>,
}

/// What changed with a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Certificates that are new or renewed.
    pub(super) read: Vec<Arc<str>>,
    /// Certificates whose files are gone.
    pub(super) gone: Vec<Arc<str>>,
    /// What is wrong and was not before.
    pub(super) failures: Vec<String>,
}

impl Shelf {
    /// Looks at all `sources`, which are those of the look before, reads what changed, and forgets what is gone.
    pub(super) fn look(&mut self, sources: &[CertificateSource]) -> News {
        let mut known: BTreeMap<Pair, Slot> = self
            .slots
            .drain(..)
            .map(|slot| (slot.pair.clone(), slot))
            .collect();
        let mut news = News::default();
        for (position, source) in sources.iter().enumerate() {
            match pairs(source) {
                Ok(pairs) => {
                    self.unlisted.remove(&position);
                    let slots = pairs.into_iter().map(|pair| {
                        let slot = known.remove(&pair);
                        slot.unwrap_or_else(|| Slot::new(pair)).at(position)
                    });
                    self.slots.extend(slots);
                }
                Err(failure) => {
                    let (kept, others) =
                        known.into_iter().partition(|(pair, _)| pair.is_of(source));
                    known = others;
                    let kept: BTreeMap<Pair, Slot> = kept;
                    self.slots
                        .extend(kept.into_values().map(|slot| slot.at(position)));
                    if self.unlisted.get(&position) != Some(&failure) {
                        news.failures.push(failure.clone());
                        self.unlisted.insert(position, failure);
                    }
                }
            }
        }
        let gone = known.into_values().filter_map(|slot| slot.certificate);
        news.gone.extend(gone.map(|it| Arc::clone(&it.name)));
        self.read(&mut news);
        news
    }

    /// A shelf for other sources that knows what this one has read.
    pub(super) fn heir(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            unlisted: BTreeMap::new(),
            looked: self.looked,
        }
    }

    /// Those that have ended since this was asked last, at `now`, in seconds since 1970.
    pub(super) fn ended(&mut self, now: i64) -> Vec<Arc<Certificate>> {
        let since = std::mem::replace(&mut self.looked, now);
        let ended = |it: &Arc<Certificate>| (since + 1..=now).contains(&it.not_after);
        self.certificates().into_iter().filter(ended).collect()
    }

    /// All that can be used, in the order of the file.
    pub(super) fn certificates(&self) -> Vec<Arc<Certificate>> {
        let certificates = self.slots.iter();
        let certificates = certificates.filter_map(|slot| slot.certificate.clone());
        certificates.collect()
    }

    /// What is wrong with a source and has nothing that stands in for it, by position: single pairs and whole folders.
    pub(super) fn faults(&self) -> Vec<(usize, &str)> {
        let single = self.slots.iter().filter(|slot| slot.pair.name.is_none());
        let single = single.filter(|slot| slot.certificate.is_none());
        let single = single.filter_map(|slot| Some((slot.source, slot.failure.as_deref()?)));
        let folders = self.unlisted.iter();
        let folders = folders.filter(|(source, _)| {
            let mut kept = self.slots.iter().filter(|slot| slot.source == **source);
            kept.all(|slot| slot.certificate.is_none())
        });
        let folders = folders.map(|(source, failure)| (*source, failure.as_str()));
        single.chain(folders).collect()
    }

    /// Everything that is wrong now.
    pub(super) fn failures(&self) -> impl Iterator<Item = &str> {
        let slots = self.slots.iter().filter_map(|slot| slot.failure.as_deref());
        self.unlisted.values().map(String::as_str).chain(slots)
    }

    /// Reads the pairs whose files changed.
    fn read(&mut self, news: &mut News) {
        // What is in a folder that is gone is gone with it, and stays in use.
        let listed = |slot: &&mut Slot| !self.unlisted.contains_key(&slot.source);
        let changed = self.slots.iter_mut().filter(listed);
        let changed: Vec<_> = changed.filter_map(Slot::changed).collect();
        let n_threads = thread::available_parallelism().map_or(1, usize::from);
        let share = changed.len().div_ceil(n_threads).max(WORTH);
        let mut changed = changed.into_iter();
        let parts: Vec<Vec<_>> = std::iter::from_fn(|| {
            let part: Vec<_> = changed.by_ref().take(share).collect();
            (!part.is_empty()).then_some(part)
        })
        .collect();
        let told = thread::scope(|scope| {
            let readers: Vec<_> = parts
                .into_iter()
                .map(|part| scope.spawn(|| read_all(part)))
                .collect();
            let told = readers.into_iter().filter_map(|reader| reader.join().ok());
            told.collect::<Vec<_>>()
        });
        for part in told {
            news.read.extend(part.read);
            news.failures.extend(part.failures);
        }
    }
}

fn read_all(slots: Vec<&mut Slot>) -> News {
    let mut news = News::default();
    for slot in slots {
        slot.read(&mut news);
    }
    news
}

impl Slot {
    const fn new(pair: Pair) -> Self {
        Self {
            source: 0,
            pair,
            stamps: [None; 2],
            certificate: None,
            failure: None,
        }
    }

    /// The slot, of the source at this position.
    fn at(self, source: usize) -> Self {
        Self { source, ..self }
    }

    /// The slot, when its files are not those that were read, or may have changed within the tick in which they were.
    fn changed(&mut self) -> Option<&mut Self> {
        let stamps = [Stamp::of(&self.pair.cert), Stamp::of(&self.pair.key)];
        if self.stamps == stamps && (self.certificate.is_some() || self.failure.is_some()) {
            return None;
        }
        // Noted before the files are read: what changes meanwhile is seen with the next look.
        self.stamps = stamps;
        Some(self)
    }

    fn read(&mut self, news: &mut News) {
        match Certificate::read(&self.pair) {
            Ok(certificate) => {
                self.failure = None;
                let same = self.certificate.as_ref();
                if same.is_none_or(|known| known.key.cert != certificate.key.cert) {
                    news.read.push(Arc::clone(&certificate.name));
                    self.certificate = Some(Arc::new(certificate));
                }
            }
            Err(failure) if self.failure.as_ref() == Some(&failure) => {}
            Err(failure) => {
                news.failures.push(failure.clone());
                self.failure = Some(failure);
            }
        }
    }
}

fn pairs(source: &CertificateSource) -> Result<Vec<Pair>, String> {
    match source {
        CertificateSource::Folder(path) => folder::pairs(path)
            .map_err(|error| format!("the folder {} cannot be read: {error}", shown(path))),
        CertificateSource::Pair { cert, key } => Ok(vec![Pair {
            cert: cert.clone(),
            key: key.clone(),
            name: None,
        }]),
    }
}

#[cfg(test)]
mod tests;
