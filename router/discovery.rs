//! Finding the targets of pools while they run: by DNS, by SRV records, by a file.
//!
//! One task for each pool that asks for it; what it finds it tells the pools, which carry it on. A good answer counts
//! until there is another one: a name server that is silent, broken or denies a name it knew takes nobody away.
//! Nothing here touches a request, a route, or a target that the file lists.

mod finder;
mod known;
mod listed;
mod names;
mod pace;
mod resolver;
mod system;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::snapshot::{Structure, Target};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::pool::Pools;
use finder::{Finder, Terms};
use resolver::Resolver;
use watch::Watch;

/// What a start and a reload wait for first answers.
const FIRST_ANSWERS: Duration = Duration::from_secs(3);

/// All pools that find their targets.
#[derive(Debug)]
pub struct Discovery {
    pools: Arc<Pools>,
    runtime: Handle,
    resolver: Arc<ArcSwap<Resolver>>,
    state: Mutex<State>,
}

/// How finding the targets of one pool goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The pool.
    pub pool: Arc<str>,
    /// How it finds its targets, as `dns web.ecs.internal:8080`.
    pub by: String,
    /// How many targets it goes on with.
    pub targets: usize,
    /// Whether there has been a good answer.
    pub answered: bool,
    /// Time since the last good answer; since the search began when there was none.
    pub age: Duration,
    /// Why the last try failed, and for how long tries have failed; `None` when it did not.
    pub failure: Option<(String, Duration)>,
    /// Tries that failed.
    pub failures: u64,
}

/// The targets that were found, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    targets: Vec<Target>,
    /// How long it counts.
    lifetime: Duration,
}

/// Why no targets were found, in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    /// The file is not there, or not a list.
    File(String),
    /// Name servers deny the name or its records.
    Nothing(String),
    /// Nobody could be asked.
    Unsaid(String),
}

#[derive(Debug, Default)]
struct State {
    watches: BTreeMap<Arc<str>, Watch>,
    prepared: Vec<Prepared>,
}

/// A first answer, waiting for its structure to be taken into use.
#[derive(Debug)]
struct Prepared {
    pool: Arc<str>,
    terms: Terms,
    finder: Finder,
    outcome: Result<Answer, Failure>,
}

impl Discovery {
    /// None yet. Names are looked up on the runtime that this is called on, which has to run on.
    pub fn new(pools: Arc<Pools>) -> Self {
        Self {
            pools,
            runtime: Handle::current(),
            resolver: Arc::new(ArcSwap::from_pointee(Resolver::new(Vec::new()))),
            state: Mutex::default(),
        }
    }

    /// Looks for what `structure` asks for and is not known yet, so that `align` has first answers: at most for 3 s.
    pub async fn prepare(&self, structure: &Structure) {
        let prepared = first_answers(self.unknown(structure), self.resolver_for(structure)).await;
        self.state().prepared = prepared;
    }

    /// The same, on a thread that may block.
    pub fn prepare_blocking(&self, structure: &Structure) {
        let unknown = self.unknown(structure);
        if unknown.is_empty() {
            self.state().prepared.clear();
            return;
        }
        let resolver = self.resolver_for(structure);
        let (done, answers) = mpsc::channel();
        self.runtime.spawn(async move {
            // Whoever waited may have lost patience.
            drop(done.send(first_answers(unknown, resolver).await));
        });
        // A runtime that has ended answers nothing, and nobody needs targets any more.
        let prepared = answers.recv_timeout(FIRST_ANSWERS * 2);
        self.state().prepared = prepared.unwrap_or_default();
    }

    /// Finds from now on what `structure` asks for, with which the pools are aligned already; a search that did not
    /// change goes on. Returns what the operator should know.
    pub fn align(&self, structure: &Structure) -> Vec<String> {
        self.resolver.store(self.resolver_for(structure));
        let mut state = self.state();
        let mut prepared = std::mem::take(&mut state.prepared);
        let mut before = std::mem::take(&mut state.watches);
        for (pool, terms) in wanted(structure) {
            let running = before.remove(&pool);
            let watch = match running {
                Some(watch) if watch.has(&terms) => watch,
                other => {
                    let first = prepared
                        .iter()
                        .position(|it| it.pool == pool && it.terms == terms)
                        .map(|position| prepared.swap_remove(position));
                    self.start(Arc::clone(&pool), terms, first, other)
                }
            };
            state.watches.insert(pool, watch);
        }
        for (pool, watch) in before {
            watch.end();
            self.pools.supply(&pool, &[]);
        }
        let reports = state.watches.values().filter_map(Watch::complaint);
        reports.collect()
    }

    /// How it goes, by pool.
    pub fn reports(&self) -> Vec<Report> {
        let now = Instant::now();
        let state = self.state();
        let reports = state.watches.values().map(|watch| watch.report(now));
        reports.collect()
    }

    /// How it goes for one pool; `None` when the file lists its targets.
    pub fn report(&self, pool: &str) -> Option<Report> {
        let state = self.state();
        Some(state.watches.get(pool)?.report(Instant::now()))
    }

    fn start(
        &self,
        pool: Arc<str>,
        terms: Terms,
        first: Option<Prepared>,
        before: Option<Watch>,
    ) -> Watch {
        let kept = before.map_or_else(Vec::new, |before| before.end());
        let begun = Watch::new(pool, terms, kept, &self.pools);
        let resolver = Arc::clone(&self.resolver);
        match first {
            Some(first) => begun.start(first.finder, Some(first.outcome), resolver, &self.runtime),
            None => begun.start(Finder::default(), None, resolver, &self.runtime),
        }
    }

    /// Pools of `structure` whose targets nobody is looking for yet.
    fn unknown(&self, structure: &Structure) -> Vec<(Arc<str>, Terms)> {
        let state = self.state();
        let is_known = |pool: &Arc<str>, terms: &Terms| {
            state.watches.get(pool).is_some_and(|it| it.has(terms))
        };
        wanted(structure)
            .filter(|(pool, terms)| !is_known(pool, terms))
            .collect()
    }

    /// The resolver of `structure`: the one in use when it asks the same name servers.
    fn resolver_for(&self, structure: &Structure) -> Arc<Resolver> {
        let nameservers = structure.resolver.nameservers.iter();
        let nameservers: Vec<SocketAddr> = nameservers
            .filter_map(|text| config::discovery::nameserver(text).ok())
            .collect();
        let current = self.resolver.load_full();
        if current.nameservers() == nameservers {
            current
        } else {
            Arc::new(Resolver::new(nameservers))
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wanted(structure: &Structure) -> impl Iterator<Item = (Arc<str>, Terms)> {
    let pools = structure.pools.iter();
    pools.filter_map(|pool| Some((Arc::clone(&pool.name), Terms::of(&pool.settings)?)))
}

/// Looks for everything at once. What takes too long has no outcome.
async fn first_answers(unknown: Vec<(Arc<str>, Terms)>, resolver: Arc<Resolver>) -> Vec<Prepared> {
    let mut lookups = JoinSet::new();
    for (pool, terms) in unknown {
        let resolver = Arc::clone(&resolver);
        lookups.spawn(async move {
            let mut finder = Finder::default();
            let outcome = finder.find(&terms, &resolver).await;
            Prepared {
                pool,
                terms,
                finder,
                outcome,
            }
        });
    }
    let mut prepared = Vec::new();
    let all = async {
        while let Some(done) = lookups.join_next().await {
            prepared.extend(done.ok());
        }
    };
    // Whoever is late finds a task that asks again.
    let _is_late = tokio::time::timeout(FIRST_ANSWERS, all).await;
    prepared
}

impl Failure {
    /// The same, of the host `name`.
    fn about(self, name: &str) -> Self {
        let about = |why: String| format!("{name} {why}");
        match self {
            Self::File(why) => Self::File(about(why)),
            Self::Nothing(why) => Self::Nothing(about(why)),
            Self::Unsaid(why) => Self::Unsaid(about(why)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(why) | Self::Nothing(why) | Self::Unsaid(why) => f.write_str(why),
        }
    }
}
