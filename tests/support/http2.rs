//! Peers that speak HTTP/2 without TLS: a client on one connection, and a target.
//!
//! Both run on threads of their own; what a test calls blocks, with a deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::{Builder, Parts};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::DEADLINE;
use super::tls::Hello;

/// A client with one connection.
pub(crate) struct Http2 {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// A request on its way.
pub(crate) struct Call {
    pub(crate) answer: ResponseFuture,
    pub(crate) body: SendStream<Bytes>,
}

/// A target; it dies with this value.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Parts>>>,
    _runtime: Runtime,
}

/// A request that a target answers.
pub(crate) struct Turn {
    pub(crate) head: Parts,
    pub(crate) body: RecvStream,
    pub(crate) respond: SendResponse<Bytes>,
}

/// A request for `path` of `www.example.com`.
pub(crate) fn ask(method: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://www.example.com{path}"))
}

impl Http2 {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_as(address, &h2::client::Builder::new())
    }

    /// As `connect`, with settings of its own.
    #[track_caller]
    pub(crate) fn connect_as(address: SocketAddr, settings: &h2::client::Builder) -> Self {
        Self::begin_at(address, settings, b"")
    }

    /// As `connect`, with `first` sent before anything else.
    #[track_caller]
    pub(crate) fn connect_behind(address: SocketAddr, first: &[u8]) -> Self {
        Self::begin_at(address, &h2::client::Builder::new(), first)
    }

    #[track_caller]
    fn begin_at(address: SocketAddr, settings: &h2::client::Builder, first: &[u8]) -> Self {
        let runtime = runtime();
        let (requests, connection) = wait(&runtime, async {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream
                .set_nodelay(true)
                .expect("a socket takes TCP_NODELAY");
            stream.write_all(first).await.expect("it is there");
            settings.handshake(stream).await.expect("it speaks HTTP/2")
        });
        let connection = runtime.spawn(connection);
        Self {
            runtime,
            requests,
            connection,
        }
    }

    /// As `connect`, over TLS.
    #[track_caller]
    pub(crate) fn connect_over(address: SocketAddr, hello: &Hello) -> Self {
        let runtime = runtime();
        let (config, name) = hello.clone().offering(&["h2"]).config();
        let (requests, connection) = wait(&runtime, async {
            let stream = TcpStream::connect(address).await.expect("it listens");
            let stream = TlsConnector::from(config).connect(name, stream).await;
            let stream = stream.expect("hands are shaken");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let settings = h2::client::Builder::new();
            settings.handshake(stream).await.expect("it speaks HTTP/2")
        });
        let connection = runtime.spawn(connection);
        Self {
            runtime,
            requests,
            connection,
        }
    }

    /// Waits for `work` on the threads of this client.
    #[track_caller]
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        wait(&self.runtime, work)
    }

    /// Begins a request; `end` when it has no body.
    #[track_caller]
    pub(crate) fn begin(&self, request: Builder, end: bool) -> Call {
        match self.try_begin(request, end) {
            Ok(call) => call,
            Err(error) => panic!("no request could be sent: {error}"),
        }
    }

    pub(crate) fn try_begin(&self, request: Builder, end: bool) -> Result<Call, h2::Error> {
        let request = request.body(()).expect("a test asks for what can be asked");
        self.wait(async {
            let mut requests = self.requests.clone().ready().await?;
            let (answer, body) = requests.send_request(request, end)?;
            Ok(Call { answer, body })
        })
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn call(&self, request: Builder, body: &[u8]) -> Reply {
        match self.try_call(request, body) {
            Ok(reply) => reply,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub(crate) fn try_call(&self, request: Builder, body: &[u8]) -> Result<Reply, h2::Error> {
        let Call { answer, body: out } = self.try_begin(request, body.is_empty())?;
        self.wait(async {
            let sent = send(out, Bytes::copy_from_slice(body));
            // An answer may come before the whole body was taken.
            let (_, reply) = tokio::join!(sent, Reply::read(answer));
            reply
        })
    }

    /// Waits until the router has closed the connection; whether it said so before.
    #[track_caller]
    pub(crate) fn closed(mut self) -> bool {
        let ended = wait(&self.runtime, &mut self.connection);
        ended.expect("the connection does not panic").is_ok()
    }
}

impl Reply {
    pub(crate) async fn read(answer: ResponseFuture) -> Result<Self, h2::Error> {
        let (head, mut body) = answer.await?.into_parts();
        let (bytes, trailers) = read(&mut body).await?;
        Ok(Self {
            status: head.status.as_u16(),
            head: head.headers,
            body: bytes,
            trailers,
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of the field `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)?.to_str().ok()
    }

    /// The value of the trailer `name`.
    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref()?.get(name)?.to_str().ok()
    }
}

/// Sends `data` as the whole body, as fast as the peer takes it.
pub(crate) async fn send(mut body: SendStream<Bytes>, data: Bytes) -> Result<(), h2::Error> {
    if data.is_empty() {
        return Ok(());
    }
    put(&mut body, data).await?;
    body.send_data(Bytes::new(), true)
}

/// Sends `data` as a part of the body.
pub(crate) async fn put(body: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        body.reserve_capacity(data.len());
        let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let room = room.unwrap_or_else(|| Err(Reason::CANCEL.into()))?;
        body.send_data(data.split_to(room.min(data.len())), false)?;
    }
    Ok(())
}

/// The next part of a body.
pub(crate) async fn next(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = body.data().await;
    if let Some(Ok(data)) = &data {
        // A stream that has ended meanwhile needs no more room.
        let _ = body.flow_control().release_capacity(data.len());
    }
    data
}

/// A body to its end, and its trailers.
pub(crate) async fn read(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = next(body).await {
        bytes.extend_from_slice(&data?);
    }
    Ok((bytes, body.trailers().await?))
}

impl Target {
    /// A target that does `act` with each request.
    pub(crate) fn start<F>(act: impl Fn(Turn) -> F + Copy + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        Self::over(async |stream| Ok(stream), act)
    }

    /// As `start`, behind what `wrap` makes of a connection.
    pub(crate) fn over<S, W, F>(
        wrap: impl Fn(TcpStream) -> W + Copy + Send + Sync + 'static,
        act: impl Fn(Turn) -> F + Copy + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        W: Future<Output = io::Result<S>> + Send + 'static,
        F: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        let runtime = runtime();
        let listener = wait(&runtime, TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                tokio::spawn(async move {
                    if let Ok(stream) = wrap(stream).await {
                        serve(stream, &heads, act).await;
                    }
                });
            }
        });
        Self {
            address,
            seen,
            _runtime: runtime,
        }
    }

    /// The heads so far.
    pub(crate) fn seen(&self) -> Vec<Parts> {
        lock(&self.seen).clone()
    }
}

impl Turn {
    /// Answers 200 with `fields`; what follows is the body.
    pub(crate) fn head(&mut self, fields: &[(&str, &str)]) -> Result<SendStream<Bytes>, h2::Error> {
        let mut answer = Response::builder();
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        let answer = answer
            .body(())
            .expect("a test answers what can be answered");
        self.respond.send_response(answer, false)
    }
}

async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Parts>>,
    act: impl Fn(Turn) -> F,
) where
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        lock(seen).push(head.clone());
        // A stream that breaks is nothing the target has to report: tests look at what the client got.
        tokio::spawn(act(Turn {
            head,
            body,
            respond,
        }));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[track_caller]
fn wait<T>(runtime: &Runtime, work: impl Future<Output = T>) -> T {
    match runtime.block_on(async { timeout(DEADLINE, work).await }) {
        Ok(done) => done,
        Err(_) => panic!("not within {DEADLINE:?}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
