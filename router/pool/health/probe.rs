//! A question to a pool's targets that nobody counts: it says nothing about their health, and no request knows of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use config::health::Check;
use tokio::task::JoinSet;

use super::ask::Terms;
use super::outcome::Outcome;
use crate::pool::Pool;

/// Targets that are asked at the same time.
const AT_ONCE: usize = 32;

/// Asks each target of `pool` that takes requests now; all must answer as `check` says.
///
/// # Errors
/// The first target that did not, and what was seen.
pub async fn probe(pool: &Pool, check: Check) -> Result<(), String> {
    let targets = pool.up(Instant::now());
    if targets.is_empty() {
        return Err(format!("pool `{}` has no healthy target", pool.name()));
    }
    let terms = Arc::new(Terms::by(pool, Arc::new(check)));
    for some in targets.chunks(AT_ONCE) {
        let mut asked = JoinSet::new();
        for target in some.iter().copied() {
            let terms = Arc::clone(&terms);
            asked.spawn(async move { (target, terms.ask(target).await) });
        }
        while let Some(answer) = asked.join_next().await {
            let (target, outcome) = answer.map_err(|error| error.to_string())?;
            told(target, outcome)?;
        }
    }
    Ok(())
}

fn told(target: SocketAddr, outcome: Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Healthy => Ok(()),
        Outcome::Ill(_, seen) => Err(format!("{target}: {seen}")),
        Outcome::Unasked(why) => Err(format!("{target} could not be asked: {why}")),
    }
}
