//! A target that speaks gRPC's health check: HTTP/2 on a thread of its own, with TLS or without.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use http::{HeaderMap, Request, Response};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A running target.
pub(crate) struct Grpc {
    pub(crate) address: SocketAddr,
    serving: Arc<AtomicU8>,
}

impl Grpc {
    /// One that is SERVING, for the service `shop.Orders` alone.
    pub(crate) fn start(tls: Option<ServerConfig>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket of ours");
        let address = listener.local_addr().expect("bound above");
        let serving = Arc::new(AtomicU8::new(1));
        let status = Arc::clone(&serving);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(accept(listener, tls, status));
        });
        Self { address, serving }
    }

    /// What it says from now on: 1 is SERVING, 2 is NOT_SERVING.
    pub(crate) fn say(&self, serving: u8) {
        self.serving.store(serving, Ordering::Release);
    }
}

async fn accept(listener: std::net::TcpListener, tls: Option<ServerConfig>, status: Arc<AtomicU8>) {
    let listener = TcpListener::from_std(listener).expect("it does not block");
    let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, status) = (tls.clone(), Arc::clone(&status));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, status).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, status).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    status: Arc<AtomicU8>,
) {
    let service = service_fn(move |request| check(request, status.load(Ordering::Acquire)));
    let server = http2::Builder::new(TokioExecutor::new());
    // A client that goes away is no fault.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;

/// `grpc.health.v1.Health/Check`: NOT_FOUND for a service it does not know, UNIMPLEMENTED for another method.
async fn check(
    request: Request<Incoming>,
    serving: u8,
) -> Result<Response<WithTrailers<Full<Bytes>, Trailers>>, hyper::Error> {
    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check";
    let message = request.into_body().collect().await?.to_bytes();
    let (status, message) = match () {
        () if !is_check => ("12", vec![]),
        () if message.ends_with(b"\x0a\x0bshop.Orders") => ("0", vec![0, 0, 0, 0, 2, 8, serving]),
        () => ("5", vec![]),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().expect("a header value"));
    let body = Full::new(Bytes::from(message));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    let answer = Response::builder().header("content-type", "application/grpc");
    Ok(answer.body(body).expect("a response"))
}
