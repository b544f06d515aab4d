//! Many requests on several connections: a fixed count as fast as possible, or a rate until told to stop.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{Answer, Client, get};
use super::stub::{Seen, Stub};
use super::tls::Hello;

/// Sends `n` requests over `connections` kept connections; `message` makes the nth. Answers in no order.
#[track_caller]
pub(crate) fn volley(
    address: SocketAddr,
    n: usize,
    connections: usize,
    message: impl Fn(usize) -> String + Sync,
) -> Vec<Answer> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let work = || {
            let mut client = Client::connect(address);
            let mut answers = Vec::new();
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                if position >= n {
                    return answers;
                }
                let answer = client.call(message(position));
                if answer.closes() {
                    client = Client::connect(address);
                }
                answers.push(answer);
            }
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("every request is answered"))
            .collect()
    })
}

/// How many of `shots` were sent and arrived at `stub` within one of `spans`: during which it should have met none.
pub(crate) fn strays(shots: &[Shot], stub: &Stub, spans: &[Range<Instant>]) -> usize {
    let sent: HashMap<_, _> = shots
        .iter()
        .map(|shot| (shot.id.as_str(), shot.sent))
        .collect();
    let stray = |seen: &Seen| {
        let id = seen.head.get("x-request-id")?;
        let sent = sent.get(id)?;
        let within = |span: &Range<Instant>| span.contains(sent) && span.contains(&seen.at);
        spans.iter().any(within).then_some(())
    };
    stub.seen().iter().filter_map(stray).count()
}

/// A load that runs until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<Shot>>>,
}

/// How a lane comes by a connection.
type Connect = dyn Fn() -> io::Result<Client> + Send + Sync;

/// One request of a load.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// Its `X-Request-Id`.
    pub(crate) id: String,
    pub(crate) sent: Instant,
    /// The environment that answered; empty when the router did or nobody.
    pub(crate) stub: String,
    /// 0 when no answer came.
    pub(crate) status: u16,
}

impl Load {
    /// GETs without cookies at `rate` a second over `connections` kept connections.
    pub(crate) fn start(address: SocketAddr, connections: usize, rate: usize) -> Self {
        Self::with(address, connections, rate, |id| {
            get("/", &format!("X-Request-Id: {id}\r\n"))
        })
    }

    /// As `start`, over TLS.
    pub(crate) fn over(
        hello: &Hello,
        address: SocketAddr,
        connections: usize,
        rate: usize,
    ) -> Self {
        let (hello, host) = (hello.clone(), hello.host());
        let connect = move || hello.try_connect(address);
        Self::by(connect, connections, rate, move |id| {
            get("/", &format!("Host: {host}\r\nX-Request-Id: {id}\r\n"))
        })
    }

    /// As `start`, with requests of your own.
    pub(crate) fn with(
        address: SocketAddr,
        connections: usize,
        rate: usize,
        message: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let connect = move || Client::try_connect(address);
        Self::by(connect, connections, rate, message)
    }

    fn by(
        connect: impl Fn() -> io::Result<Client> + Send + Sync + 'static,
        connections: usize,
        rate: usize,
        message: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let connect: Arc<Connect> = Arc::new(connect);
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let message = Arc::new(message);
        let pace = Duration::from_secs_f64(connections as f64 / rate as f64);
        let threads = (0..connections)
            .map(|number| {
                let lane = Lane {
                    connect: Arc::clone(&connect),
                    number,
                    pace,
                    stop: Arc::clone(&stop),
                    sent: Arc::clone(&sent),
                };
                let message = Arc::clone(&message);
                thread::spawn(move || lane.run(&*message))
            })
            .collect();
        Self {
            stop,
            sent,
            threads,
        }
    }

    /// How many requests have been sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    /// Waits until `n` more have been sent, for as long as any is.
    #[track_caller]
    pub(crate) fn pass(&self, n: usize) {
        let goal = self.sent() + n;
        while self.sent() < goal {
            let before = self.sent();
            super::until("the load makes progress", || {
                (self.sent() > before).then_some(())
            });
        }
    }

    /// Stops it; every request, in no order.
    pub(crate) fn stop(self) -> Vec<Shot> {
        self.stop.store(true, Ordering::Release);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a lane does not panic"))
            .collect()
    }
}

/// One connection of a load; a new one is made when it breaks.
struct Lane {
    connect: Arc<Connect>,
    number: usize,
    pace: Duration,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
}

impl Lane {
    fn run(self, message: &dyn Fn(&str) -> String) -> Vec<Shot> {
        let mut shots = Vec::new();
        let mut client = None;
        let began = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            let due = began + self.pace * shots.len() as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let id = format!("load-{}-{}", self.number, shots.len());
            shots.push(self.shoot(&mut client, message(&id), id));
        }
        shots
    }

    fn shoot(&self, client: &mut Option<Client>, message: String, id: String) -> Shot {
        let sent = Instant::now();
        if client.is_none() {
            *client = (self.connect)().ok();
        }
        let answer = client
            .as_mut()
            .and_then(|client| client.try_call(message).ok());
        self.sent.fetch_add(1, Ordering::AcqRel);
        let closes = answer.as_ref().is_none_or(|answer| {
            let connection = answer.head.get("connection").unwrap_or_default();
            connection.eq_ignore_ascii_case("close")
        });
        if closes {
            *client = None;
        }
        Shot {
            id,
            sent,
            stub: answer
                .as_ref()
                .map(|it| it.stub().to_owned())
                .unwrap_or_default(),
            status: answer.map_or(0, |answer| answer.status),
        }
    }
}
