//! A fake environment: a server that answers with its name, keeps what it received, and misbehaves on demand.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::wire::{Head, Wire, reset};

/// A running fake environment; it dies with this value.
pub(crate) struct Stub {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

/// A request being answered.
pub(crate) struct Exchange<'a> {
    pub(crate) name: &'static str,
    pub(crate) head: Head,
    pub(crate) wire: &'a mut Wire,
    /// How many requests this connection carried before.
    pub(crate) before: usize,
    /// The number of this connection, which no other one has.
    pub(crate) connection: usize,
    shared: &'a Shared,
    position: usize,
    body: Option<Vec<u8>>,
}

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum After {
    Close,
    Keep,
    Reset,
}

type Act = dyn Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync;

struct Shared {
    name: &'static str,
    act: Box<Act>,
    alive: AtomicBool,
    healthy: AtomicBool,
    checks: AtomicUsize,
    accepted: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Stub {
    /// One that answers 200 with its name.
    pub(crate) fn start(name: &'static str) -> Self {
        Self::with(name, |exchange| exchange.plain())
    }

    /// One that does `act` for every request except health checks.
    pub(crate) fn with(
        name: &'static str,
        act: impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self::on(listener, name, act)
    }

    /// Two that have trouble: `ec2` never answers `/slow`, and `ecs` resets each seventh request of a connection.
    pub(crate) fn troubled() -> (Self, Self) {
        let ec2 = Self::with("ec2", |exchange| {
            if exchange.path() == "/slow" {
                exchange.wire.closed();
                return Ok(After::Close);
            }
            exchange.plain()
        });
        let ecs = Self::with("ecs", |exchange| match exchange.before % 7 {
            6 => Ok(After::Reset),
            _ => exchange.plain(),
        });
        (ec2, ecs)
    }

    /// One that answers 200 with its name, on a socket of your own.
    pub(crate) fn listen(listener: TcpListener, name: &'static str) -> Self {
        Self::on(listener, name, |exchange| exchange.plain())
    }

    /// Those that `start` starts, for a machine of their own: of this one they get the time that nobody else wants.
    pub(crate) fn aside<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
        // A thread has the priority of the one that starts it.
        let start = move || {
            rustix::process::nice(19).expect("everybody may step back");
            start()
        };
        thread::spawn(start).join().expect("free ports")
    }

    /// One that does `act` for every request except health checks, on a socket of your own.
    pub(crate) fn on(
        listener: TcpListener,
        name: &'static str,
        act: impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let stub = Self {
            name,
            address: listener.local_addr().expect("bound above"),
            shared: Arc::new(Shared {
                name,
                act: Box::new(act),
                alive: AtomicBool::new(true),
                healthy: AtomicBool::new(true),
                checks: AtomicUsize::new(0),
                accepted: AtomicUsize::new(0),
                seen: Mutex::new(Vec::new()),
                connections: Mutex::new(Vec::new()),
            }),
        };
        stub.accept(listener);
        stub
    }

    /// Every request so far except health checks, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The last request.
    #[track_caller]
    pub(crate) fn last(&self) -> Seen {
        match lock(&self.shared.seen).last() {
            Some(seen) => seen.clone(),
            None => panic!("`{}` has seen no request", self.name),
        }
    }

    /// How many requests arrived, health checks left out.
    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.seen).len()
    }

    /// How many health checks arrived.
    pub(crate) fn checks(&self) -> usize {
        self.shared.checks.load(Ordering::Acquire)
    }

    /// What `/healthz` answers from now on: 200 or 503.
    pub(crate) fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, Ordering::Release);
    }

    /// Closes the listening socket and resets every connection, as a host that is taken away.
    pub(crate) fn die(&self) {
        if !self.shared.alive.swap(false, Ordering::AcqRel) {
            return;
        }
        // The accepting thread notices by this connection and drops the listener.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.shared.connections).drain(..) {
            reset(&stream);
            let _ = stream.shutdown(Shutdown::Both);
        }
        super::until("the port of a dead stub is closed", || {
            TcpStream::connect(self.address).err()
        });
    }

    /// Listens again at the same address.
    pub(crate) fn revive(&self) {
        let listener = super::until("the port of the stub is free again", || {
            TcpListener::bind(self.address).ok()
        });
        self.shared.alive.store(true, Ordering::Release);
        self.accept(listener);
    }

    fn accept(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if !shared.alive.load(Ordering::Acquire) {
                    return;
                }
                shared.serve(stream);
            }
        });
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if self.shared.alive.swap(false, Ordering::AcqRel) {
            let _ = TcpStream::connect(self.address);
        }
        for stream in lock(&self.shared.connections).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, stream: TcpStream) {
        let kept = stream.try_clone().expect("a file descriptor is free");
        let mut connections = lock(&self.connections);
        connections.retain(|stream| stream.peer_addr().is_ok());
        connections.push(kept);
        drop(connections);
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let peer = stream.peer_addr().ok();
            let mut wire = Wire::new(stream);
            // A connection that breaks is nothing the stub has to report: tests look at what arrived.
            let after = shared.exchanges(&mut wire);
            // The socket closes, or resets, only when the last descriptor of it goes.
            lock(&shared.connections).retain(|stream| stream.peer_addr().ok() != peer);
            if let Ok(After::Reset) = after {
                wire.reset();
            }
        });
    }

    fn exchanges(&self, wire: &mut Wire) -> io::Result<After> {
        let mut before = 0;
        let connection = self.accepted.fetch_add(1, Ordering::AcqRel);
        while let Some(head) = wire.head()? {
            let after = if head.line.contains(" /healthz ") {
                self.health(wire)?
            } else {
                self.exchange(wire, head, before, connection)?
            };
            if after != After::Keep {
                return Ok(after);
            }
            before += 1;
        }
        Ok(After::Close)
    }

    fn health(&self, wire: &mut Wire) -> io::Result<After> {
        self.checks.fetch_add(1, Ordering::AcqRel);
        let status = if self.healthy.load(Ordering::Acquire) {
            "200 OK"
        } else {
            "503 Service Unavailable"
        };
        wire.send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))?;
        Ok(After::Keep)
    }

    fn exchange(
        &self,
        wire: &mut Wire,
        head: Head,
        before: usize,
        connection: usize,
    ) -> io::Result<After> {
        let mut seen = lock(&self.seen);
        let position = seen.len();
        seen.push(Seen {
            head: head.clone(),
            body: Vec::new(),
            at: Instant::now(),
        });
        drop(seen);
        let mut exchange = Exchange {
            name: self.name,
            head,
            wire,
            before,
            connection,
            shared: self,
            position,
            body: None,
        };
        (self.act)(&mut exchange)
    }
}

impl Exchange<'_> {
    /// The request's body, read when first asked for.
    pub(crate) fn body(&mut self) -> io::Result<Vec<u8>> {
        if self.body.is_none() {
            let body = self.wire.body(self.head.framing())?;
            lock(&self.shared.seen)[self.position]
                .body
                .clone_from(&body);
            self.body = Some(body);
        }
        Ok(self.body.clone().unwrap_or_default())
    }

    /// 200 with the name.
    pub(crate) fn plain(&mut self) -> io::Result<After> {
        self.answer("200 OK", "", self.name.as_bytes())
    }

    /// A whole answer; `fields` are complete lines, each with its line end.
    pub(crate) fn answer(&mut self, status: &str, fields: &str, body: &[u8]) -> io::Result<After> {
        self.body()?;
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nstub: {}\r\n{fields}\r\n",
            body.len(),
            self.name
        )
        .into_bytes();
        if !self.head.line.starts_with("HEAD ") {
            bytes.extend_from_slice(body);
        }
        self.wire.send(bytes)?;
        Ok(After::Keep)
    }

    /// The request's target, as sent.
    pub(crate) fn path(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// A test that panicked in another thread has not made the records worse.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
