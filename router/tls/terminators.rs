//! TLS of all listeners: prepared with a file before it is taken, in force with it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use config::model;
use config::problem::{Fault, Path};
use config::snapshot::Listener;

use super::admin;
use super::certificate::Expiry;
use super::terminator::Terminator;
use super::terms::Hindrance;

/// TLS of all listeners that have it.
#[derive(Debug, Default)]
pub struct Terminators {
    in_force: ArcSwap<Vec<Arc<Terminator>>>,
    admin: ArcSwapOption<Terminator>,
    /// Made for a file that may be taken.
    prepared: Mutex<Prepared>,
}

#[derive(Debug, Default)]
struct Prepared {
    listeners: Vec<Arc<Terminator>>,
    admin: Option<Arc<Terminator>>,
}

impl Terminators {
    /// Reads what `listeners` and `admin` need, whose paths are anchored, and keeps it for `align`; everything that hinders
    /// otherwise.
    ///
    /// May take a second where there are thousands of certificates.
    pub fn prepare(&self, listeners: &[model::Listener], admin: &model::Admin) -> Vec<Fault> {
        let path = Path::default().key("listeners");
        let (mut prepared, mut faults) = (Prepared::default(), Vec::new());
        match admin.tls.as_ref().map(admin::terminator) {
            Some(Ok(made)) => prepared.admin = Some(Arc::new(made)),
            Some(Err(more)) => faults.extend(more),
            None => {}
        }
        for (position, listener) in listeners.iter().enumerate() {
            let Some(settings) = &listener.tls else {
                continue;
            };
            let before = self.of(&listener.name);
            let same = before.clone().filter(|before| before.is_by(settings));
            let made = same.map_or_else(
                || Terminator::new(&listener.name, settings, before.as_deref()).map(Arc::new),
                Ok,
            );
            match made {
                Ok(made) => prepared.listeners.push(made),
                Err(hindrances) => {
                    let path = path.index(position).key("tls");
                    faults.extend(hindrances.into_iter().map(|it| fault(&path, it)));
                }
            }
        }
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = prepared;
        faults
    }

    /// Takes into use what was prepared for `listeners`; connections that are open go on as they are. Returns what is wrong
    /// with certificates that are left out.
    pub fn align(&self, listeners: &[Listener]) -> Vec<String> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let Prepared {
            listeners: prepared,
            admin,
        } = std::mem::take(&mut *prepared);
        let wanted = |made: &Arc<Terminator>| {
            let mut listeners = listeners.iter();
            listeners.any(|listener| {
                *listener.name == *made.listener()
                    && listener.tls.as_deref().is_some_and(|tls| made.is_by(tls))
            })
        };
        let prepared: Vec<_> = prepared.into_iter().filter(wanted).collect();
        let before = self.in_force.swap(Arc::new(prepared.clone()));
        let is_new = |made: &&Arc<Terminator>| !before.iter().any(|old| Arc::ptr_eq(old, made));
        let new = prepared.iter().filter(is_new);
        let mut failures: Vec<_> = new.flat_map(|made| made.announce()).collect();
        if let (Some(made), None) = (admin, &*self.admin.load()) {
            failures.extend(made.announce());
            self.admin.store(Some(made));
        }
        failures
    }

    /// TLS of the admin API. What it is at the start it stays, but for its files.
    pub fn admin(&self) -> Option<Arc<Terminator>> {
        self.admin.load_full()
    }

    /// TLS of the listener called `name`.
    pub fn of(&self, name: &str) -> Option<Arc<Terminator>> {
        let in_force = self.in_force.load();
        in_force.iter().find(|it| it.listener() == name).cloned()
    }

    /// Takes into use what changed in the files of those in force; what is wrong with them is in the log.
    pub fn refresh(&self) {
        for terminator in self.all() {
            terminator.refresh();
        }
    }

    /// How long certificates are valid; of several of one name, the one that ends first.
    pub fn expiries(&self) -> Vec<Expiry> {
        let mut all: Vec<_> = self.all().iter().flat_map(|it| it.expiries()).collect();
        all.sort_by(|a, b| (&a.name, a.not_after).cmp(&(&b.name, b.not_after)));
        all.dedup_by(|a, b| a.name == b.name);
        all
    }

    fn all(&self) -> Vec<Arc<Terminator>> {
        let in_force = self.in_force.load();
        in_force.iter().cloned().chain(self.admin()).collect()
    }
}

fn fault(path: &Path, (key, position, message): Hindrance) -> Fault {
    let path = path.key(key);
    match position {
        Some(position) => path.index(position).fault(message),
        None => path.fault(message),
    }
}
