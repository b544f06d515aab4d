//! The thread that sends copies: one for all routes, so that no shadow pool takes time of a request.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use config::ids::PoolId;
use config::snapshot::Structure;
use http::HeaderName;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::copy::Copy;
use super::fate::Fate;
use super::mirror::Slot;
use crate::caller::{Call, CallError, Callee, Caller};
use crate::pool::Pool;

/// Copies of all routes that may wait for the thread; each route has a bound of its own, which is met first.
const QUEUE: usize = 16_384;
/// Bytes of an answer that are read; a longer one is cut, and its connection closed.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// The field that tells a target its pool.
const POOL: HeaderName = HeaderName::from_static("kanaria-pool");

/// A copy that is to be sent.
pub(super) struct Job {
    pub(super) copy: Box<Copy>,
    pub(super) structure: Arc<Structure>,
    pub(super) pool: Arc<Pool>,
    pub(super) deadline: Instant,
    pub(super) slot: Slot,
}

/// Starts the thread; it ends when the last of the senders is dropped.
pub(super) fn start() -> io::Result<Sender<Job>> {
    let (sender, jobs) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("kanaria-shadow".into())
        .spawn(move || runtime.block_on(carry_out(jobs)))?;
    Ok(sender)
}

async fn carry_out(mut jobs: Receiver<Job>) {
    let caller = Arc::new(Caller::default());
    while let Some(job) = jobs.recv().await {
        let caller = Arc::clone(&caller);
        tokio::spawn(async move {
            let (mirror, slot) = (Arc::clone(&job.copy.mirror), job.slot);
            let deadline = job.deadline.into();
            let sent = deliver(&caller, job.copy, &job.structure, &job.pool);
            let fate = tokio::time::timeout_at(deadline, sent).await;
            drop(slot);
            mirror.count(fate.unwrap_or(Fate::Timeout));
        });
    }
}

async fn deliver(
    caller: &Caller,
    mut copy: Box<Copy>,
    structure: &Arc<Structure>,
    pool: &Arc<Pool>,
) -> Fate {
    let mirror = Arc::clone(&copy.mirror);
    if !mirror.is_on() {
        return Fate::DroppedOff;
    }
    let Some(address) = pool.look_up(mirror.next_round(), Instant::now()) else {
        return Fate::DroppedNoTarget;
    };
    let callee = Callee {
        structure,
        pool: &structure.pools[usize::from(mirror.pool().0)],
        address,
    };
    let call = call(&mut copy, structure, mirror.pool());
    let mut left = LONGEST_ANSWER;
    let mut take = |part: bytes::Bytes| {
        let fits = part.len() <= left;
        left = left.saturating_sub(part.len());
        fits
    };
    match caller.call(call, callee, &mut take).await {
        Ok(answer) if answer.whole => Fate::Answered,
        Ok(_) => Fate::Cut,
        Err(CallError::Broken) => Fate::Failed,
        Err(CallError::Unreachable) => Fate::Unreachable,
    }
}

/// What the shadow pool is asked: the head as the serving target got it, as the table changes it.
fn call(copy: &mut Copy, structure: &Structure, pool: PoolId) -> Call {
    let mut headers = std::mem::take(&mut copy.headers);
    headers.insert(POOL, structure.pools[usize::from(pool.0)].value.clone());
    copy.mirror.shadow.edit(&mut headers);
    Call {
        method: copy.method.clone(),
        uri: copy.uri.clone(),
        headers,
        body: copy.body.clone(),
    }
}
