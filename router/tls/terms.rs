//! How a listener shakes hands: versions, protocols, certificates of clients, tickets; and the files that takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::model::{ListenerTls, TlsVersion};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::client::Verifier;
use super::folder::Stamp;
use super::provider::provider;
use super::ring::Ring;
use super::tickets::Tickets;

/// What keeps a listener from ending TLS: a key below its `tls`, a position in its list if it is one, and what is wrong.
pub(super) type Hindrance = (&'static str, Option<usize>, String);

/// What handshakes of a listener go by, besides its certificates.
#[derive(Debug)]
pub(super) struct Terms {
    settings: Arc<ListenerTls>,
    verifier: Option<Verifier>,
    authority: Watched,
    ring: Option<Ring>,
    keys: Watched,
    tickets: Option<Arc<Tickets>>,
}

/// What a look at the files brought.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Handshakes go by something else from now on.
    pub(super) config: Option<ServerConfig>,
    pub(super) told: Vec<String>,
    pub(super) failures: Vec<String>,
}

/// A file that is read again when it changes.
#[derive(Debug, Default)]
struct Watched {
    path: Option<PathBuf>,
    stamp: Option<Stamp>,
    failure: Option<String>,
}

impl Terms {
    /// The terms that `settings` ask for. A file of keys that is not there is not made yet.
    pub(super) fn new(settings: &Arc<ListenerTls>) -> Result<Self, Vec<Hindrance>> {
        let mut authority = Watched::new(settings.client_ca.as_deref());
        let mut keys = Watched::new(settings.ticket_keys.as_deref());
        authority.changed();
        keys.changed();
        let verifier = Verifier::new(settings).map_err(|wrong| ("client_ca", None, wrong));
        let ring = keys.path.as_deref().map(Ring::begin).transpose();
        let ring = ring.map_err(|wrong| ("ticket_keys", None, wrong));
        let (verifier, ring) = match (verifier, ring) {
            (Ok(verifier), Ok(ring)) => (verifier, ring),
            (verifier, ring) => {
                return Err(verifier.err().into_iter().chain(ring.err()).collect());
            }
        };
        let mut terms = Self {
            settings: Arc::clone(settings),
            verifier,
            authority,
            ring,
            keys,
            tickets: None,
        };
        terms.seal();
        Ok(terms)
    }

    /// They are in use: makes the file of keys, when it is not there; what is wrong with that otherwise.
    pub(super) fn settle(&mut self) -> Option<String> {
        let (Some(path), Some(ring)) = (&self.keys.path, &mut self.ring) else {
            return None;
        };
        let wrong = ring.settle(path).err();
        if let (Some(tickets), None) = (&self.tickets, &wrong) {
            tickets.turn(ring);
        }
        wrong
    }

    /// Reads the files that changed. What is wrong with one leaves what was read before.
    pub(super) fn look(&mut self, resolver: &Arc<dyn ResolvesServerCert>) -> Turn {
        let mut turn = Turn::default();
        if self.authority.changed() {
            let verifier = Verifier::new(&self.settings);
            if let Some(verifier) = self.authority.judge(verifier, &mut turn.failures)
                && verifier.as_ref().map(|it| &it.terms)
                    != self.verifier.as_ref().map(|it| &it.terms)
            {
                self.verifier = verifier;
                // Sessions of clients that were vouched for otherwise are not gone on with.
                self.seal();
                turn.told
                    .push("the authorities for clients are read anew".into());
                turn.config = self.config(resolver).ok();
            }
        }
        if let (true, Some(path)) = (self.keys.changed(), self.keys.path.clone()) {
            let ring = Ring::read(&path);
            if let (Some(next), Some(ring)) =
                (self.keys.judge(ring, &mut turn.failures), &self.ring)
                && !ring.is(&next)
            {
                let ring = ring.followed_by(next);
                turn.told.push(format!(
                    "keys of tickets in use: {}",
                    ring.secrets().count()
                ));
                if let Some(tickets) = &self.tickets {
                    tickets.turn(&ring);
                }
                self.ring = Some(ring);
            }
        }
        turn
    }

    /// How to shake hands.
    pub(super) fn config(
        &self,
        resolver: &Arc<dyn ResolvesServerCert>,
    ) -> Result<ServerConfig, rustls::Error> {
        let settings = &self.settings;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(versions(settings.min_version))?;
        let builder = match &self.verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(&verifier.verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(resolver));
        config.alpn_protocols = if settings.http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        config.ticketer = match &self.tickets {
            Some(tickets) => Arc::clone(tickets) as Arc<dyn ProducesTickets>,
            None => Ticketer::new()?,
        };
        // Tickets cost no memory here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// Tickets from now on are of these terms.
    fn seal(&mut self) {
        let terms = self.verifier.as_ref().map(|it| it.terms.clone());
        let tickets = |ring| Arc::new(Tickets::new(ring, terms.unwrap_or_default()));
        self.tickets = self.ring.as_ref().map(tickets);
    }
}

impl Watched {
    fn new(path: Option<&Path>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            ..Self::default()
        }
    }

    /// Whether another edition of the file is there than at the last look.
    fn changed(&mut self) -> bool {
        let stamp = self.path.as_deref().and_then(Stamp::of);
        // Without a file there is nothing to see: a new one is on its way.
        let changed = stamp.is_some() && stamp != self.stamp;
        self.stamp = stamp;
        changed
    }

    /// What was read, if it could be; what is wrong is told once.
    fn judge<T>(&mut self, read: Result<T, String>, failures: &mut Vec<String>) -> Option<T> {
        let failure = match read {
            Ok(read) => {
                self.failure = None;
                return Some(read);
            }
            Err(failure) => failure,
        };
        if self.failure.as_ref() != Some(&failure) {
            failures.push(failure.clone());
            self.failure = Some(failure);
        }
        None
    }
}

static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn versions(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match lowest {
        TlsVersion::Tls12 => &VERSIONS,
        TlsVersion::Tls13 => &VERSIONS[..1],
    }
}
