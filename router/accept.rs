//! The connection layer: sockets bound before anything else starts, and every byte of a request let through by us.
//!
//! pingora's own listeners have no total header deadline, no idle limit, no connection limit and no record of requests
//! that could not be read; and a port that is taken does not stop them. So we accept ourselves and hand pingora one
//! checked request at a time.

mod alarm;
mod connection;
mod ending;
mod gauge;
mod handshake;
mod head;
mod http2;
mod hush;
mod linger;
mod probe;
mod proxy_header;
mod serve;
mod socket;
mod wire;
mod wires;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use config::ids::ListenerId;
use config::model::ProxyProtocol;
use config::snapshot::Listener;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use alarm::Alarm;
pub use connection::Connection;
pub use ending::Ending;
pub use gauge::Gauge;
use gauge::Open;
pub use handshake::Handshake;
use hush::Hush;
pub use probe::Readiness;
use proxy_header::{Ends, Refused};
use socket::Socket as Client;
pub use wire::{SharedId, Wire};
pub use wires::Wires;

use crate::clients::Clients;
use crate::identify;
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::refuse::Refuser;
use crate::tls::{Secured, Terminator, Terminators};

/// Connections waiting to be accepted, as many as the system allows.
const BACKLOG: i32 = 65_535;

/// Labels of `kanaria_connections`; the last one is of those that have not shaken hands yet.
const HTTP_1: &str = "HTTP/1.1";
const HTTP_2: &str = "HTTP/2";
const TLS: &str = "TLS";

/// A bound socket of a listener.
pub struct Bound {
    /// The listener.
    pub listener: Listener,
    /// The address, with the port the system chose when the file says 0.
    pub address: SocketAddr,
    socket: TcpListener,
}

/// Binds `listener`, or says why that is not possible.
pub fn bind(listener: &Listener) -> io::Result<Bound> {
    let domain = if listener.bind.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listener.bind.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from(socket);
    Ok(Bound {
        listener: listener.clone(),
        address: socket.local_addr()?,
        socket,
    })
}

/// Takes over `socket`, which listens where `listener` says, or says why that is not possible.
pub fn adopt(listener: &Listener, socket: TcpListener) -> io::Result<Bound> {
    socket.set_nonblocking(true)?;
    Ok(Bound {
        listener: listener.clone(),
        address: socket.local_addr()?,
        socket,
    })
}

impl Bound {
    /// A copy of the socket. It listens for as long as one of them is open.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(OwnedFd::from)
    }
}

/// How an edge ends: each of these turns true once.
pub struct End {
    /// Nothing is accepted, and each connection is told to go with its next answer.
    pub leaving: watch::Receiver<bool>,
    /// Connections without a request are closed.
    pub shutdown: ShutdownWatch,
    /// What is left is cut.
    pub cut: watch::Receiver<bool>,
}

/// Everything that accepts.
pub struct Edge {
    service: Arc<serve::Service>,
    gauge: Arc<Gauge>,
    wires: Arc<Wires>,
    metrics: Arc<Metrics>,
    tls: Arc<Terminators>,
    cut: watch::Receiver<bool>,
    clients: Arc<Clients>,
    hush: Hush,
}

impl Edge {
    /// An edge that hands requests to `proxy` and ends as `end` says.
    pub fn new(
        proxy: Arc<HttpProxy<Proxy>>,
        refuser: Refuser,
        metrics: Arc<Metrics>,
        tls: Arc<Terminators>,
        clients: Arc<Clients>,
        end: End,
    ) -> Self {
        let service = Arc::new(serve::Service {
            proxy,
            refuser,
            leaving: end.leaving,
            shutdown: end.shutdown,
            readiness: Arc::default(),
        });
        Self {
            service,
            gauge: Arc::default(),
            wires: Arc::default(),
            metrics,
            tls,
            cut: end.cut,
            clients,
            hush: Hush::default(),
        }
    }

    /// How many connections are open.
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    /// What a load balancer in front is told.
    pub fn readiness(&self) -> &Arc<Readiness> {
        &self.service.readiness
    }

    /// The connections that are open.
    pub fn wires(&self) -> &Arc<Wires> {
        &self.wires
    }

    /// Accepts on `bound` until the shutdown; connections go on by themselves.
    pub async fn accept(self: Arc<Self>, bound: Bound) -> io::Result<()> {
        let socket = tokio::net::TcpListener::from_std(bound.socket)?;
        let mut leaving = self.service.leaving.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = leaving.wait_for(|leaving| *leaving) => return Ok(()),
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let local = bound.address;
                    self.start(bound.listener.id, stream, Ends { peer, local });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: closing connections will help, spinning will not.
                    tracing::error!("listener {}: cannot accept: {error}", bound.listener.name);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn start(self: &Arc<Self>, listener: ListenerId, stream: TcpStream, ends: Ends) {
        let published = self.service.refuser.publisher().current();
        let settings = published.snapshot.listener(listener);
        let server = &published.snapshot.structure.server;
        let Some(open) = self.gauge.enter(server.max_connections) else {
            self.metrics
                .connection_refused(&settings.name, "max_connections");
            return;
        };
        let tls = match settings.tls.is_some().then(|| self.tls.of(&settings.name)) {
            // There is no listener with TLS that has nobody to end it; were there one, it would speak to nobody.
            Some(None) => return,
            found => found.flatten(),
        };
        // Only a socket that is already gone refuses this.
        let _ = stream.set_nodelay(true);
        let mut accepted = Accepted {
            name: Arc::clone(&settings.name),
            h2c: settings.h2c,
            handshake: server.timeouts.tls_handshake.0,
            tls,
            listener,
            ends,
            open,
        };
        let edge = Arc::clone(self);
        match settings.proxy_protocol {
            ProxyProtocol::Off => drop(tokio::spawn(edge.welcome(accepted, stream))),
            ProxyProtocol::Required => drop(tokio::spawn(async move {
                if let Some(stream) = edge.introduced(&mut accepted, stream).await {
                    edge.welcome(accepted, stream).await;
                }
            })),
        }
    }

    /// Reads who the client of `accepted` is; the stream comes back when the connection goes on.
    async fn introduced(
        &self,
        accepted: &mut Accepted,
        mut stream: TcpStream,
    ) -> Option<TcpStream> {
        let mut stopping = self.service.shutdown.clone();
        let introduction = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return None,
            introduction = self.introduction(accepted.ends, &mut stream) => introduction,
        };
        match introduction {
            Ok(ends) => accepted.ends = ends?,
            Err(refused) => {
                let (name, peer) = (&accepted.name, accepted.ends.peer);
                self.metrics.introduction_refused(name, refused.as_str());
                if let Some(left_out) = self.hush.admits() {
                    tracing::warn!(
                        "listener {name}: closed {peer}: {refused}; {left_out} like it left out"
                    );
                }
                return None;
            }
        }
        Some(stream)
    }

    async fn introduction(
        &self,
        ends: Ends,
        stream: &mut TcpStream,
    ) -> Result<Option<Ends>, Refused> {
        let published = self.service.refuser.publisher().current();
        let server = &published.snapshot.structure.server;
        if !identify::is_trusted(ends.peer.ip(), &server.trusted_proxies) {
            return Err(Refused::Untrusted);
        }
        let reading = proxy_header::read(stream, ends);
        timeout(server.timeouts.header.0, reading)
            .await
            .unwrap_or(Err(Refused::Timeout))
    }

    /// Counts the connection for its client; whether that may have one more.
    fn counts(&self, accepted: &mut Accepted) -> bool {
        let published = self.service.refuser.publisher().current();
        let server = &published.snapshot.structure.server;
        let (most, client) = (server.max_connections_per_client, accepted.ends.peer.ip());
        if most == 0 || identify::is_trusted(client, &server.trusted_proxies) {
            return true;
        }
        match self.clients.enter(client, most) {
            Some(counted) => accepted.open.count(counted),
            None => {
                let limit = "max_connections_per_client";
                self.metrics.connection_refused(&accepted.name, limit);
                return false;
            }
        }
        true
    }

    /// From a socket to a connection that speaks HTTP, and to its end.
    async fn welcome(self: Arc<Self>, mut accepted: Accepted, stream: TcpStream) {
        if !self.counts(&mut accepted) {
            return;
        }
        let (client, secured) = match &accepted.tls {
            None => (Client::Plain(stream), None),
            Some(terminator) => match self.shake(&accepted, terminator, stream).await {
                Some((client, secured)) => (client, Some(secured)),
                None => return,
            },
        };
        let Accepted {
            listener,
            ends: Ends { peer, local },
            name,
            h2c,
            open,
            ..
        } = accepted;
        let is_http2 = secured.as_ref().is_some_and(|secured| secured.http2);
        let wire = Arc::new(Wire::new(listener, peer, local, secured));
        self.wires.enter(&wire);
        let connection = Connection::new(client, wire, open);
        let http2 = if is_http2 {
            Some(connection)
        } else {
            self.serve_http1(connection, &name, h2c).await
        };
        if let Some(connection) = http2 {
            self.metrics.connection_opened(&name, HTTP_2);
            http2::serve(connection, Arc::clone(&self.service), self.cut.clone()).await;
            self.metrics.connection_closed(&name, HTTP_2);
        }
    }

    /// Shakes hands. That ends with its deadline, or when what is left is cut: a client that came in time is served.
    async fn shake(
        &self,
        accepted: &Accepted,
        terminator: &Terminator,
        stream: TcpStream,
    ) -> Option<(Client, Arc<Secured>)> {
        let name = &accepted.name;
        self.metrics.connection_opened(name, TLS);
        // Boxed: a connection in clear text is spared the room for it.
        let shaking = Box::pin(handshake::shake(stream, terminator, accepted.handshake));
        let shaken = until_cut(shaking, self.cut.clone()).await;
        self.metrics.connection_closed(name, TLS);
        let (handshake, shaken) = shaken?;
        self.metrics.handshake(name, handshake.as_str());
        shaken
    }

    /// Serves a connection that begins with HTTP/1.1; it comes back when it turns out to speak HTTP/2.
    async fn serve_http1(
        &self,
        connection: Connection,
        name: &str,
        h2c: bool,
    ) -> Option<Connection> {
        self.metrics.connection_opened(name, HTTP_1);
        let (service, cut) = (Arc::clone(&self.service), self.cut.clone());
        let http2 = if h2c {
            until_cut(serve::open(connection, service), cut)
                .await
                .flatten()
        } else {
            until_cut(serve::serve(connection, service), cut).await;
            None
        };
        self.metrics.connection_closed(name, HTTP_1);
        http2
    }
}

/// What is settled about a connection when it is accepted.
struct Accepted {
    listener: ListenerId,
    name: Arc<str>,
    h2c: bool,
    tls: Option<Arc<Terminator>>,
    handshake: Duration,
    ends: Ends,
    open: Open,
}

/// Runs `serving` to its end, or until `cut` turns true; then there is nothing.
async fn until_cut<T>(serving: impl Future<Output = T>, cut: watch::Receiver<bool>) -> Option<T> {
    let mut waiting = cut.clone();
    let waiting = pin!(waiting.wait_for(|cut| *cut));
    let mut alarm = Alarm::new(&cut, waiting);
    let mut serving = pin!(serving);
    poll_fn(|context| match alarm.rang(context) {
        true => Poll::Ready(None),
        false => serving.as_mut().poll(context).map(Some),
    })
    .await
}
