//! The search for the targets of one pool: looks, tells the pool, waits, looks again; and says once what changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::snapshot::Target;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::finder::{Finder, Terms};
use super::known::{Known, News};
use super::resolver::Resolver;
use super::{Answer, Failure, Report, listed, pace};
use crate::pool::Pools;

/// Targets that a line of the log names.
const NAMED: usize = 8;

/// A search that runs. It ends with this value.
#[derive(Debug)]
pub(super) struct Watch {
    seeker: Arc<Seeker>,
    task: Option<AbortHandle>,
}

/// What the task and those who look at it share.
#[derive(Debug)]
struct Seeker {
    pool: Arc<str>,
    terms: Terms,
    pools: Arc<Pools>,
    known: Mutex<Known>,
}

impl Watch {
    /// One that has not begun, for a pool that has the targets `kept`.
    pub(super) fn new(pool: Arc<str>, terms: Terms, kept: Vec<Target>, pools: &Arc<Pools>) -> Self {
        let known = Known::new(kept, Instant::now());
        Self {
            seeker: Arc::new(Seeker {
                pool,
                terms,
                pools: Arc::clone(pools),
                known: Mutex::new(known),
            }),
            task: None,
        }
    }

    /// Begins, with a first outcome when there is one.
    pub(super) fn start(
        mut self,
        finder: Finder,
        first: Option<Result<Answer, Failure>>,
        resolver: Arc<ArcSwap<Resolver>>,
        runtime: &Handle,
    ) -> Self {
        let pause = first.map(|outcome| self.seeker.learn(outcome));
        let search = search(Arc::clone(&self.seeker), finder, resolver, pause);
        self.task = Some(runtime.spawn(search).abort_handle());
        self
    }

    pub(super) fn has(&self, terms: &Terms) -> bool {
        self.seeker.terms == *terms
    }

    /// Ends the search; the targets it found.
    pub(super) fn end(self) -> Vec<Target> {
        let mut known = self.seeker.known();
        known.ended = true;
        std::mem::take(&mut known.targets)
    }

    /// How it goes.
    pub(super) fn report(&self, now: Instant) -> Report {
        let known = self.seeker.known();
        let failing = known.failing.as_ref();
        Report {
            pool: Arc::clone(&self.seeker.pool),
            by: self.seeker.terms.by.to_string(),
            targets: known.targets.len(),
            answered: known.answered.is_some(),
            age: now.duration_since(known.answered.unwrap_or(known.began)),
            failure: failing.map(|it| (it.why.to_string(), now.duration_since(it.since))),
            failures: known.failures,
        }
    }

    /// What an operator who just made it begin should know.
    pub(super) fn complaint(&self) -> Option<String> {
        let known = self.seeker.known();
        match (&known.failing, known.answered) {
            (Some(failing), _) => Some(self.seeker.failing(&failing.why, &known)),
            (None, None) => Some(
                self.seeker
                    .failing(&Failure::Unsaid("there is no answer yet".into()), &known),
            ),
            (None, Some(_)) => None,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Looks for ever; first after `pause` when the first outcome is known.
async fn search(
    seeker: Arc<Seeker>,
    mut finder: Finder,
    resolver: Arc<ArcSwap<Resolver>>,
    mut pause: Option<Duration>,
) {
    loop {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let outcome = finder.find(&seeker.terms, &resolver.load_full()).await;
        pause = Some(seeker.learn(outcome));
    }
}

impl Seeker {
    /// Takes in what a look found, and says how long to wait.
    fn learn(&self, outcome: Result<Answer, Failure>) -> Duration {
        let refresh = self.terms.refresh;
        let mut known = self.known();
        let pause = match &outcome {
            Ok(answer) if self.terms.is_file() => answer.lifetime,
            Ok(answer) => pace::after_answer(answer.lifetime, refresh),
            Err(_) if self.terms.is_file() => listed::POLL,
            Err(_) => {
                let n = known.failing.as_ref().map_or(0, |failing| failing.n);
                pace::after_failure(n + 1, refresh, rand::random())
            }
        };
        if known.ended {
            return pause;
        }
        let before = known.targets.clone();
        let had_answered = known.answered.is_some();
        let news = known.learn(outcome, Instant::now());
        if known.answered.is_some() && (before != known.targets || !had_answered) {
            // Under the lock, so that what was found before an end is not told after it.
            self.pools.supply(&self.pool, &known.targets);
            self.log_targets(&before, &known.targets);
        }
        self.log(news, &known);
        pause
    }

    fn log(&self, news: Option<News>, known: &Known) {
        match news {
            None => {}
            Some(News::Answered(after)) => tracing::info!(
                "pool `{}`: {} answered again, after {} s",
                self.pool,
                self.terms.by,
                after.as_secs()
            ),
            Some(News::Failing(why)) if known.answered.is_some() => {
                tracing::warn!("{}", self.failing(&why, known));
            }
            Some(News::Failing(why)) => {
                tracing::error!(
                    "{}; it is asked again until it answers",
                    self.failing(&why, known)
                );
            }
        }
    }

    fn failing(&self, why: &Failure, known: &Known) -> String {
        let by = &self.terms.by;
        let pool = &self.pool;
        let rest = match (known.answered, known.targets.len()) {
            (_, 0) => "the pool has no targets".to_owned(),
            (Some(_), n) => format!("requests go on to the {} of the last answer", targets(n)),
            (None, n) => format!("requests go on to the {} the pool had before", targets(n)),
        };
        format!("pool `{pool}`: {by}: {why}; {rest}")
    }

    fn log_targets(&self, before: &[Target], after: &[Target]) {
        let (pool, by) = (&self.pool, &self.terms.by);
        let missing = |from: &[Target], of: &[Target], sign: char| {
            let addresses = of.iter().map(|it| it.address);
            let new = addresses.filter(|address| from.iter().all(|it| it.address != *address));
            new.map(|address| format!("{sign}{address}"))
                .collect::<Vec<_>>()
        };
        let mut changes = missing(before, after, '+');
        changes.extend(missing(after, before, '-'));
        let more = match changes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        changes.truncate(NAMED);
        let changes = changes.join(" ");
        let n = targets(after.len());
        if after.is_empty() {
            tracing::warn!("pool `{pool}`: {by} says there are no targets: {changes}{more}");
        } else {
            tracing::info!("pool `{pool}`: {n} by {by}: {changes}{more}");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn targets(n: usize) -> String {
    match n {
        1 => "1 target".into(),
        n => format!("{n} targets"),
    }
}
