//! How one listener ends TLS: its settings for handshakes, and the certificates they are answered with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use config::model::ListenerTls;
use jiff::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};

use super::certificate::{Certificate, Expiry};
use super::secured::{Secured, lower};
use super::shelf::{News, Shelf};
use super::store::Store;
use super::terms::{Hindrance, Terms};

/// Changes of certificates that are logged one by one.
const TOLD: usize = 20;

/// TLS of one listener.
#[derive(Debug)]
pub struct Terminator {
    listener: Arc<str>,
    settings: Arc<ListenerTls>,
    config: ArcSwap<ServerConfig>,
    resolver: Arc<dyn ResolvesServerCert>,
    store: Arc<ArcSwap<Store>>,
    shelf: Mutex<Shelf>,
    terms: Mutex<Terms>,
}

impl Terminator {
    /// One for `listener`, which goes on with what `before` has read, if there was one.
    pub(super) fn new(
        listener: &str,
        settings: &ListenerTls,
        before: Option<&Self>,
    ) -> Result<Self, Vec<Hindrance>> {
        let mut shelf = before.map_or_else(Shelf::default, |before| before.shelf().heir());
        shelf.look(&settings.certificates);
        let certificates = shelf.certificates();
        let settings = Arc::new(settings.clone());
        let store = store(&shelf, &certificates, &settings, now());
        let terms = Terms::new(&settings);
        let (store, terms) = match (store, terms) {
            (Ok(store), Ok(terms)) => (store, terms),
            (store, terms) => {
                let hindrances = store.err().into_iter().chain(terms.err());
                return Err(hindrances.flatten().collect());
            }
        };
        let store = Arc::new(ArcSwap::from_pointee(store));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(Resolver(Arc::clone(&store)));
        let config = terms.config(&resolver);
        let config = config.map_err(|error| vec![("min_version", None, error.to_string())])?;
        Ok(Self {
            listener: listener.into(),
            settings,
            config: ArcSwap::from_pointee(config),
            resolver,
            store,
            shelf: Mutex::new(shelf),
            terms: Mutex::new(terms),
        })
    }

    /// The listener that it is for.
    pub(super) fn listener(&self) -> &str {
        &self.listener
    }

    /// Whether it ends TLS as `settings` say.
    pub(super) fn is_by(&self, settings: &ListenerTls) -> bool {
        *self.settings == *settings
    }

    /// How to shake hands.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// What is known of a connection once hands are shaken; `None` when its client's certificate has ended since its session
    /// began.
    pub fn secured(&self, session: &ServerConnection) -> Option<Secured> {
        Secured::new(session, &self.store, now())
    }

    /// Says that it is in use, and what is wrong with certificates that are left out.
    pub(super) fn announce(&self) -> Vec<String> {
        let (listener, mut shelf) = (&self.listener, self.shelf());
        tracing::info!(
            "listener {listener}: certificates in use: {}",
            shelf.certificates().len()
        );
        warn(listener, &shelf.ended(now()));
        let failures = shelf.failures().map(|failure| {
            let failure = format!("listener {listener}: {failure}; the others are in use");
            tracing::error!("{failure}");
            failure
        });
        let mut failures: Vec<_> = failures.collect();
        failures.extend(self.terms().settle().map(|failure| {
            let failure = format!("listener {listener}: {failure}");
            tracing::error!("{failure}");
            failure
        }));
        failures
    }

    /// Takes into use what changed in the files.
    pub(super) fn refresh(&self) {
        self.refresh_certificates();
        let turn = self.terms().look(&self.resolver);
        if let Some(config) = turn.config {
            self.config.store(Arc::new(config));
        }
        for told in turn.told {
            tracing::info!("listener {}: {told}", self.listener);
        }
        for failure in turn.failures {
            tracing::error!(
                "listener {}: {failure}; what was in use stays in use",
                self.listener
            );
        }
    }

    fn refresh_certificates(&self) {
        let mut shelf = self.shelf();
        let news = shelf.look(&self.settings.certificates);
        let now = now();
        let (certificates, ended) = (shelf.certificates(), shelf.ended(now));
        drop(shelf);
        if news == News::default() && ended.is_empty() {
            return;
        }
        self.tell(&certificates, &news);
        warn(&self.listener, &ended);
        let default = self.settings.default.as_deref();
        let store = Store::new(&certificates, default, now).or_else(|| {
            tracing::error!(
                "listener {}: the certificate that answers unknown names is gone; it stays in use until there is another one",
                self.listener
            );
            Store::like(&self.store.load(), &certificates, now)
        });
        match store {
            Some(store) => self.store.store(Arc::new(store)),
            None => tracing::error!(
                "listener {}: there is no certificate left; those read before stay in use",
                self.listener
            ),
        }
    }

    /// How long its certificates are valid.
    pub(super) fn expiries(&self) -> Vec<Expiry> {
        let certificates = self.shelf().certificates();
        certificates.iter().map(|it| it.expiry()).collect()
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, certificates: &[Arc<Certificate>], news: &News) {
        let listener = &self.listener;
        for failure in &news.failures {
            tracing::error!("listener {listener}: {failure}; what was in use stays in use");
        }
        for name in news.read.iter().take(TOLD) {
            let found = certificates.iter().find(|it| it.name == *name);
            let until = found.map_or_else(String::new, |it| date(it.not_after));
            tracing::info!("listener {listener}: certificate {name} is in use, until {until}");
        }
        for name in news.gone.iter().take(TOLD) {
            tracing::info!("listener {listener}: certificate {name} is gone");
        }
        let n_more = news.read.len().saturating_sub(TOLD) + news.gone.len().saturating_sub(TOLD);
        if n_more > 0 {
            tracing::info!("listener {listener}: {n_more} more certificates changed");
        }
    }
}

fn warn(listener: &str, ended: &[Arc<Certificate>]) {
    for certificate in ended {
        let (name, end) = (&certificate.name, date(certificate.not_after));
        tracing::warn!("listener {listener}: certificate {name} has expired, {end}");
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "ever".into(), |time| time.to_string())
}

fn store(
    shelf: &Shelf,
    certificates: &[Arc<Certificate>],
    settings: &ListenerTls,
    now: i64,
) -> Result<Store, Vec<Hindrance>> {
    let faults = shelf.faults().into_iter();
    let faults = faults.map(|(position, fault)| ("certificates", Some(position), fault.to_owned()));
    let mut faults: Vec<_> = faults.collect();
    if certificates.is_empty() && faults.is_empty() {
        let failures: Vec<_> = shelf.failures().take(3).collect();
        let why = match failures.join("; ") {
            why if why.is_empty() => "write NAME.crt and NAME.key into a folder".into(),
            why => why,
        };
        let message = format!("there is no certificate that can be used: {why}");
        faults.push(("certificates", None, message));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let default = settings.default.as_deref();
    Store::new(certificates, default, now).ok_or_else(|| {
        let wanted = default.unwrap_or_default();
        let message =
            format!("no certificate is for {wanted:?}, and none is in a file of that name");
        vec![("default", None, message)]
    })
}

/// Answers a handshake's question for a certificate from the store in force.
#[derive(Debug)]
struct Resolver(Arc<ArcSwap<Store>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(lower);
        let schemes = hello.signature_schemes();
        let store = self.0.load();
        let certificate = store.pick(name.as_deref(), |certificate| {
            certificate.key.key.choose_scheme(schemes).is_some()
        });
        certificate.map(|certificate| Arc::clone(&certificate.key))
    }
}
