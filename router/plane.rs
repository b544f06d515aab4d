//! The data plane: its threads, its start, and its end, in which every request in flight gets its time.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_core::apps::ServerApp;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::accept::{Bound, Edge, End, Gauge, Readiness, Wires};
use crate::clients::Clients;
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::publish::Publisher;
use crate::record::Recorder;
use crate::refuse::Refuser;
use crate::tls::Terminators;

/// Kept upstream connections of the whole process, above any concurrency a small router sees.
const KEPT_CONNECTIONS: usize = 4096;
/// Cut connections have this long to write their last log line.
const CUT_TIME: Duration = Duration::from_secs(1);

/// The running data plane.
pub struct Plane {
    runtime: Runtime,
    proxy: Arc<HttpProxy<Proxy>>,
    gauge: Arc<Gauge>,
    wires: Arc<Wires>,
    readiness: Arc<Readiness>,
    /// Closed once nothing accepts any more.
    accepting: watch::Sender<()>,
    leave: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    cut: watch::Sender<bool>,
}

/// What the data plane shares with the rest of the process.
#[derive(Clone)]
pub struct Shared {
    /// The snapshots in force.
    pub publisher: Arc<Publisher>,
    /// Where finished requests are written down.
    pub recorder: Arc<Recorder>,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// How listeners end TLS.
    pub tls: Arc<Terminators>,
}

impl Plane {
    /// Starts to accept on `bound` with so many worker threads; 0 takes the number of cores.
    pub fn start(bound: Vec<Bound>, threads: u16, shared: &Shared) -> io::Result<Self> {
        let threads = worker_threads(threads);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("kanaria-edge")
            .enable_all()
            .build()?;
        let (leave, leaving) = watch::channel(false);
        let (stop, shutdown) = watch::channel(false);
        let (cut, cutting) = watch::channel(false);
        let clients = Arc::default();
        let proxy = Arc::new(proxy(threads, shared, &clients));
        shared.metrics.limit(Arc::clone(&clients));
        let end = End {
            leaving,
            shutdown,
            cut: cutting,
        };
        let edge = edge(&proxy, shared, clients, end);
        let (accepting, accepts) = watch::channel(());
        for bound in bound {
            let accepts = accepts.clone();
            let name = Arc::clone(&bound.listener.name);
            let accepting = Arc::clone(&edge).accept(bound);
            runtime.spawn(async move {
                if let Err(error) = accepting.await {
                    tracing::error!("listener {name}: cannot accept any more: {error}");
                }
                drop(accepts);
            });
        }
        let gauge = Arc::clone(edge.gauge());
        let wires = Arc::clone(edge.wires());
        let readiness = Arc::clone(edge.readiness());
        Ok(Self {
            runtime,
            proxy,
            gauge,
            wires,
            readiness,
            accepting,
            leave,
            stop,
            cut,
        })
    }

    /// The connections that are open.
    pub fn wires(&self) -> &Arc<Wires> {
        &self.wires
    }

    /// Tells load balancers in front to send traffic elsewhere; whatever comes is served all the same.
    pub fn turn_away(&self) {
        self.readiness.drain();
    }

    /// Stops accepting because another process does. From here on each answer says that it is the last one of its
    /// connection. An idle connection stays until it has brought one more request: to close it would lose a request
    /// that is on its way.
    pub async fn leave(&self) {
        self.stop_accepting().await;
        self.proxy.cleanup().await;
    }

    /// After `leave`, lets whoever is connected go for at most `patience`. What is left then is cut, and written down as
    /// cut; returns how many connections that were.
    pub async fn retire(&self, patience: Duration) -> u32 {
        if self.closed_within(patience).await {
            return 0;
        }
        self.drain(Duration::ZERO).await
    }

    /// Stops accepting, closes idle connections, and lets requests in flight finish for at most `patience`.
    ///
    /// What is left then is cut, and written down as cut. Returns how many connections that were.
    pub async fn drain(&self, patience: Duration) -> u32 {
        self.stop_accepting().await;
        self.stop.send_replace(true);
        self.proxy.cleanup().await;
        if self.closed_within(patience).await {
            return 0;
        }
        let left = self.gauge.open();
        self.cut.send_replace(true);
        self.closed_within(CUT_TIME).await;
        left
    }

    /// Ends the threads without waiting for them: whatever they still hold is dropped, and so written down.
    pub fn end_in_background(self) {
        self.runtime.shutdown_background();
    }

    /// What is accepted meanwhile counts as open when this returns.
    async fn stop_accepting(&self) {
        self.leave.send_replace(true);
        self.accepting.closed().await;
    }

    async fn closed_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.gauge.open() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }
}

fn proxy(threads: usize, shared: &Shared, clients: &Arc<Clients>) -> HttpProxy<Proxy> {
    let conf = ServerConf {
        threads,
        upstream_keepalive_pool_size: KEPT_CONNECTIONS,
        ..ServerConf::default()
    };
    let proxy = Proxy::new(
        Arc::clone(&shared.publisher),
        Arc::clone(&shared.recorder),
        Arc::clone(clients),
    );
    pingora_proxy::http_proxy(&Arc::new(conf), proxy)
}

fn edge(
    proxy: &Arc<HttpProxy<Proxy>>,
    shared: &Shared,
    clients: Arc<Clients>,
    end: End,
) -> Arc<Edge> {
    let refuser = Refuser::new(Arc::clone(&shared.publisher), Arc::clone(&shared.recorder));
    let (metrics, tls) = (Arc::clone(&shared.metrics), Arc::clone(&shared.tls));
    let proxy = Arc::clone(proxy);
    Arc::new(Edge::new(proxy, refuser, metrics, tls, clients, end))
}

fn worker_threads(asked: u16) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => usize::from(threads),
    }
}
