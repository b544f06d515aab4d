//! The thread of control and of the admin API: traffic cannot starve it, and it cannot stall traffic.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Admin, Socket, router};
use crate::control::Run;
use crate::tls::Terminator;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// A request's head must be there after this, also that of the next one on a kept connection.
const HEAD: Duration = Duration::from_secs(30);
/// A handshake of TLS must be over after this.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The running thread.
pub struct Running(JoinHandle<()>);

impl Running {
    /// Waits for its end, which `Control::shutdown` asks for.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the control thread ended by a defect of the router");
        }
    }
}

/// Whoever asks as control ends is told so within this time.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Starts the thread: carries out orders and answers on `socket`, over `tls` when there is one, until control is shut
/// down. While `pause` is true new connections wait where they are.
pub fn start(
    socket: Socket,
    tls: Option<Arc<Terminator>>,
    admin: Admin,
    run: Run,
    pause: watch::Receiver<bool>,
) -> io::Result<Running> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("kanaria-control".into())
        .spawn(move || {
            runtime.block_on(async move {
                let serving = tokio::spawn(serve(socket, tls, router(admin), pause));
                run.run().await;
                serving.abort();
                tokio::time::sleep(LAST_WORDS).await;
            });
            // A read of a file that hangs must not hold up the end.
            runtime.shutdown_timeout(Duration::from_millis(100));
        })?;
    Ok(Running(thread))
}

pub(super) async fn serve(
    socket: Socket,
    tls: Option<Arc<Terminator>>,
    router: Router,
    pause: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let outcome = match socket {
        Socket::Tcp(listener, _) => serve_tcp(listener, tls, router, places, pause).await,
        Socket::Unix(listener, file) => {
            let outcome = serve_unix(listener, router, places, pause).await;
            drop(file);
            outcome
        }
    };
    if let Err(error) = outcome {
        tracing::error!("the admin API cannot be served: {error}");
    }
}

async fn serve_tcp(
    listener: std::net::TcpListener,
    tls: Option<Arc<Terminator>>,
    router: Router,
    places: Arc<Semaphore>,
    mut pause: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match unpaused(&mut pause, || listener.accept()).await {
            Ok((stream, _)) => {
                // Answers are small and awaited: nothing is to be gathered.
                drop(stream.set_nodelay(true));
                let router = router.clone();
                match &tls {
                    None => drop(tokio::spawn(connection(stream, router, place))),
                    Some(tls) => drop(tokio::spawn(secured(
                        stream,
                        Arc::clone(tls),
                        router,
                        place,
                    ))),
                }
            }
            Err(error) => refused(&error).await,
        }
    }
    Ok(())
}

async fn serve_unix(
    listener: std::os::unix::net::UnixListener,
    router: Router,
    places: Arc<Semaphore>,
    mut pause: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match unpaused(&mut pause, || listener.accept()).await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, router.clone(), place));
            }
            Err(error) => refused(&error).await,
        }
    }
    Ok(())
}

/// What `accept` brings while nothing is paused. What waits to be accepted stays in the socket.
async fn unpaused<T, F: Future<Output = io::Result<T>>>(
    pause: &mut watch::Receiver<bool>,
    accept: impl Fn() -> F,
) -> io::Result<T> {
    loop {
        // Nobody left to pause it is as good as never paused.
        let _ = pause.wait_for(|paused| !*paused).await;
        let paused = async { pause.wait_for(|paused| *paused).await.is_ok() };
        tokio::select! {
            biased;
            true = paused => {}
            accepted = accept() => return accepted,
        }
    }
}

/// Out of descriptors, most likely: they come back when connections end.
async fn refused(error: &io::Error) {
    tracing::warn!("the admin API cannot accept: {error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn secured(
    stream: TcpStream,
    tls: Arc<Terminator>,
    router: Router,
    place: OwnedSemaphorePermit,
) {
    let shaking = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(HANDSHAKE, shaking).await {
        Ok(Ok(stream)) if tls.secured(stream.get_ref().1).is_some() => {
            connection(stream, router, place).await;
        }
        Ok(Ok(_)) => tracing::debug!("a client of the admin API shows a certificate that ended"),
        Ok(Err(error)) => tracing::debug!("no handshake with a client of the admin API: {error}"),
        Err(_) => tracing::debug!("a handshake of the admin API did not end in time"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    place: OwnedSemaphorePermit,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection to the admin API ended: {error}");
    }
    drop(place);
}
