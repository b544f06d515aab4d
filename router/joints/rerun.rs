//! `kanaria shadow run`: a recorded file, a pool of a configuration, and its targets.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::snapshot::Structure;
use router::cli::{NotRerun, Rerun};
use router::discovery::Discovery;
use router::pool::Pools;
use router::rerun::{Summary, Terms};
use router::{capture, rerun, tls};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Carries it out.
pub(super) fn rerun(asked: &Rerun) -> Result<Summary, NotRerun> {
    tls::install();
    let loaded = super::load(&asked.config)
        .map_err(|invalid| NotRerun::Invalid(asked.config.clone(), invalid))?;
    let structure = Arc::new(loaded.structure);
    let file = File::open(&asked.file)
        .map_err(|error| NotRerun::Failed(format!("{}: {error}", asked.file.display())))?;
    let pool = structure.pool_named(&asked.against).cloned();
    let pool = pool.ok_or_else(|| {
        let names = structure
            .pools
            .iter()
            .map(|pool| format!("`{}`", pool.name));
        let names = names.collect::<Vec<_>>().join(", ");
        NotRerun::Failed(format!(
            "no pool is called `{}`; known are {names}",
            asked.against
        ))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NotRerun::Failed(error.to_string()))?;
    runtime.block_on(async {
        let targets = targets(&structure, &asked.against).await;
        if targets.is_empty() {
            let message = format!("pool `{}` has no targets", asked.against);
            return Err(NotRerun::Failed(message));
        }
        let terms = Terms {
            structure,
            pool,
            targets,
            rate: asked.rate,
            timeout: TIMEOUT,
        };
        let requests = capture::read(BufReader::new(file));
        let summary = rerun::rerun(requests, terms).await;
        summary.map_err(|why| NotRerun::Failed(format!("{}: {why}", asked.file.display())))
    })
}

/// The targets of a pool, found if need be, as at a start.
async fn targets(structure: &Structure, pool: &str) -> Vec<SocketAddr> {
    let pools = Arc::new(Pools::new());
    let discovery = Discovery::new(Arc::clone(&pools));
    discovery.prepare(structure).await;
    pools.align(structure);
    drop(discovery.align(structure));
    let targets = pools.pool(pool).map(|pool| pool.status(Instant::now()));
    let targets = targets.unwrap_or_default().into_iter();
    targets.map(|target| target.address).collect()
}
