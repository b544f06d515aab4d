//! The thread that sends copies: one for all routes, behind every other one, so that no shadow pool takes time of a request.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config::snapshot::Structure;
use http::HeaderName;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::comparison;
use super::copy::{Asked, Copy};
use super::fate::Fate;
use super::kept::Kept;
use super::mirror::Slot;
use crate::caller::{Answer, Call, CallError, Callee, Caller};
use crate::diff::LONGEST_BODY;
use crate::pool::Pool;

/// Copies of all routes that may wait for the thread; each route has a bound of its own, which is met first.
const QUEUE: usize = 16_384;
/// Bytes of an answer that are read; a longer one is cut, and its connection closed.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// Milliseconds that a copy waits at most for a moment in which no request is at the pool that served its own.
const PATIENCE_MS: u32 = 2;
/// The field that tells a target its pool.
const POOL: HeaderName = HeaderName::from_static("kanaria-pool");

/// A copy that is to be sent.
pub(super) struct Job {
    pub(super) copy: Box<Copy>,
    pub(super) structure: Arc<Structure>,
    pub(super) shadow: Asked,
    /// The pool that served the request.
    pub(super) serving: Asked,
    /// Whether that one is asked once more.
    pub(super) asks_twice: bool,
    pub(super) deadline: Instant,
    pub(super) slot: Slot,
}

/// What a pool said to a copy.
pub(super) struct Said {
    pub(super) answer: Answer,
    pub(super) body: Kept,
}

/// Starts the thread; it ends when the last of the senders is dropped.
pub(super) fn start() -> io::Result<Sender<Job>> {
    let (sender, jobs) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("kanaria-shadow".into())
        .spawn(move || {
            give_way();
            runtime.block_on(carry_out(jobs));
        })?;
    Ok(sender)
}

/// Where cores are short, requests go first: a copy that comes too late is counted, and a client that waits may be lost.
/// Nobody waits for what this thread holds (decision 22).
fn give_way() {
    // Ten steps are a tenth of a core that others want. Elsewhere it would be the priority of the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

async fn carry_out(mut jobs: Receiver<Job>) {
    let caller = Arc::new(Caller::default());
    while let Some(job) = jobs.recv().await {
        let caller = Arc::clone(&caller);
        tokio::spawn(async move { deliver(&caller, job).await });
    }
}

async fn deliver(caller: &Caller, job: Job) {
    let mirror = Arc::clone(&job.copy.mirror);
    let_requests_pass(&job.serving.pool).await;
    if !mirror.is_on() {
        return mirror.count(Fate::DroppedOff);
    }
    if mirror.capture().is_some()
        && let Ok(call) = call(&job, &job.shadow)
    {
        mirror.record(&call);
    }
    if mirror.backoff.is_paused() {
        return mirror.count(Fate::DroppedBackoff);
    }
    // Each pool is gone round by copies, not by calls: of two targets one would never be asked.
    let turn = mirror.next_turn();
    let control = async {
        match job.asks_twice {
            true => Some(ask(caller, &job, &job.serving, turn).await),
            false => None,
        }
    };
    // At the same time: the serving pool is asked by what it has then, as the shadow pool is.
    let (shadow, control) = tokio::join!(ask(caller, &job, &job.shadow, turn), control);
    let Job { copy, slot, .. } = job;
    drop(slot);
    if mirror.shadow.compares() {
        comparison::compare(
            &copy,
            shadow.as_ref().ok(),
            control.as_ref().map(|said| said.as_ref().ok()),
        );
    }
    let fate = match &shadow {
        Ok(said) if said.answer.whole => Fate::Answered,
        Ok(_) => Fate::Cut,
        Err(fate) => *fate,
    };
    // Counted when nothing of it is left.
    drop((copy, shadow, control));
    let pause = mirror.backoff.met(fate);
    mirror.count(fate);
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
        mirror.backoff.resume();
    }
}

/// Requests often come together. A copy of the first one would have a core that the others want: waking up, they take none
/// from a thread that runs, whatever its priority.
async fn let_requests_pass(serving: &Pool) {
    for _ in 0..PATIENCE_MS {
        if !serving.is_busy() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ask(caller: &Caller, job: &Job, asked: &Asked, turn: u32) -> Result<Said, Fate> {
    let mirror = &job.copy.mirror;
    let address = asked.pool.look_up(turn, Instant::now());
    let callee = Callee {
        structure: &job.structure,
        pool: &job.structure.pools[usize::from(asked.id.0)],
        address: address.ok_or(Fate::DroppedNoTarget)?,
    };
    let most = if mirror.shadow.compares() {
        LONGEST_BODY
    } else {
        0
    };
    let mut body = Kept::new(mirror, most as u64);
    let mut left = LONGEST_ANSWER;
    let mut take = |part: Bytes| {
        body.push(&part);
        let fits = part.len() <= left;
        left = left.saturating_sub(part.len());
        fits
    };
    let call = caller.call(call(job, asked)?, callee, &mut take);
    let answer = tokio::time::timeout_at(job.deadline.into(), call).await;
    match answer {
        Err(_) => Err(Fate::Timeout),
        Ok(Err(CallError::Broken)) => Err(Fate::Failed),
        Ok(Err(CallError::Unreachable)) => Err(Fate::Unreachable),
        Ok(Ok(answer)) => Ok(Said { answer, body }),
    }
}

/// What a pool is asked: the head as the serving target got it, as the table changes it.
fn call(job: &Job, asked: &Asked) -> Result<Call, Fate> {
    let copy = &job.copy;
    let mut headers = copy.headers.clone();
    let pool = &job.structure.pools[usize::from(asked.id.0)];
    headers.insert(POOL, pool.value.clone());
    if asked.id == copy.mirror.pool() {
        copy.mirror.shadow.edit(&mut headers);
    } else {
        copy.mirror.shadow.edit_for_control(&mut headers);
    }
    Ok(Call {
        method: copy.method.clone(),
        uri: copy.uri.clone(),
        headers,
        body: copy.body.parts()?.to_vec(),
    })
}
