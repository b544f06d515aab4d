//! One look for the targets of a pool, in the way its file asks for.

use std::sync::Arc;
use std::time::Duration;

use config::discovery::Discovery;
use config::model;

use super::listed::Listed;
use super::names::{Host, Service, at_port};
use super::resolver::Resolver;
use super::{Answer, Failure};

/// A look takes at most this long, however many names it needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What tells two searches of one pool apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) by: Discovery,
    pub(super) refresh: Duration,
}

/// What a search remembers from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Finder {
    host: Host,
    service: Service,
    listed: Listed,
}

impl Terms {
    /// The terms of a pool that finds its targets.
    pub(super) fn of(settings: &model::Pool) -> Option<Self> {
        Some(Self {
            by: Discovery::of(settings)?,
            refresh: settings.dns_refresh.0,
        })
    }

    pub(super) const fn is_file(&self) -> bool {
        matches!(self.by, Discovery::File(_))
    }
}

impl Finder {
    /// Looks once.
    pub(super) async fn find(
        &mut self,
        terms: &Terms,
        resolver: &Arc<Resolver>,
    ) -> Result<Answer, Failure> {
        let look = async {
            match &terms.by {
                Discovery::Dns { name, port } => {
                    let (addresses, lifetime) = self.host.look_up(name, resolver).await?;
                    Ok(at_port(&addresses, *port, lifetime))
                }
                Discovery::File(path) => self.listed.look(path).await,
                Discovery::Srv(name) => self.service.look_up(name, resolver).await,
            }
        };
        let late = || Failure::Unsaid("there was no answer in time".into());
        tokio::time::timeout(PATIENCE, look)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}
