//! One connection that speaks HTTP/2, from its preface to its close: each stream is a request, served in a task of its own.
//!
//! Frames, HPACK and flow control are the crate `h2`'s, and so are its answers to what no request can be made of; `ledger`
//! sees those in the frames, so that they are written down too. What became a request is served, or refused, by us.

mod budget;
mod frames;
mod ledger;
mod serve;
mod session;
mod settings;
mod stream;
mod watched;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection as Frames, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep, timeout};

use super::connection::Connection;
use super::gauge::Open;
use super::serve::Service;
use super::wire::{SharedId, Wire};
use budget::Budget;
use watched::{Shared, Watched};

use crate::record::Cause;
use crate::refuse::Said;

/// A client that was told to go has this long for what it had already sent; then the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The frames of one connection.
type Framed = Frames<Watched<Connection>, Bytes>;

/// What belongs to one connection besides its frames.
struct Streams {
    service: Arc<Service>,
    wire: Arc<Wire>,
    id: SharedId,
    running: JoinSet<bool>,
    budget: Budget,
    shared: Shared,
    idle: Duration,
    /// The connection counts as open until the last request of it is written down.
    _open: Option<Open>,
}

/// Serves `connection`, whose client has begun HTTP/2, to its end, or until `cut` turns true.
pub(super) async fn serve(
    connection: Connection,
    service: Arc<Service>,
    cut: watch::Receiver<bool>,
) {
    let published = service.refuser.publisher().current();
    let server = &published.snapshot.structure.server;
    let (limits, timeouts) = (&server.limits, &server.timeouts);
    let wire = Arc::clone(connection.wire());
    let (connection, open) = connection.into_bytes();
    let shared = Shared::default();
    let watched = Watched::new(connection, shared.clone(), timeouts.header.0);
    let handshake = settings::of(limits).handshake(watched);
    let Ok(Ok(frames)) = timeout(timeouts.header.0, handshake).await else {
        return;
    };
    let mut streams = Streams {
        idle: timeouts.idle.0,
        service,
        wire,
        id: SharedId::default(),
        running: JoinSet::new(),
        budget: Budget::default(),
        shared,
        _open: open,
    };
    streams.accept(frames, cut.clone()).await;
    streams.end(cut).await;
}

impl Streams {
    /// Takes streams on until the connection ends. Whoever waits here also moves the bytes of all streams.
    async fn accept(&mut self, mut frames: Framed, cut: watch::Receiver<bool>) {
        let mut cut = pin!(turned(cut));
        let mut stopping = pin!(turned(self.service.leaving.clone()));
        let mut leaving = false;
        let mut timer = pin!(tokio::time::sleep(self.idle));
        let shared = self.shared.clone();
        loop {
            tokio::select! {
                biased;
                // Before the connection goes: a request must not take that for a client that left.
                () = &mut cut => return self.running.shutdown().await,
                () = &mut stopping, if !leaving => {
                    leaving = true;
                    self.dismiss(&mut frames, timer.as_mut());
                }
                Some(ended) = self.running.join_next() => {
                    self.ended(&ended, &mut frames);
                    self.rest(leaving, timer.as_mut());
                }
                accepted = frames.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        if self.begin(request, respond, &mut frames).is_break() {
                            leaving = true;
                        }
                    }
                    Some(Err(_)) | None => return,
                },
                // Only when no stream is left to take on: one that `h2` has answered may still become a request.
                cause = poll_fn(|_| shared.ledger().next_refused()) => self.note(cause),
                () = &mut timer, if self.running.is_empty() => {
                    if leaving {
                        return;
                    }
                    leaving = true;
                    self.dismiss(&mut frames, timer.as_mut());
                }
            }
        }
    }

    /// Tells the client that no further stream will be taken on (RFC 9113 section 6.8).
    fn dismiss(&self, frames: &mut Framed, timer: Pin<&mut Sleep>) {
        frames.graceful_shutdown();
        timer.reset(Instant::now() + FAREWELL);
    }

    fn begin(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        frames: &mut Framed,
    ) -> ControlFlow<()> {
        let stream = respond.stream_id().as_u32();
        self.shared.ledger().accepted(stream);
        // Streams that the client has given up may still be on their way to a target.
        if self.running.len() >= settings::MOST_RUNNING {
            frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return ControlFlow::Break(());
        }
        let wire = self.wire.stream(&self.id);
        let service = Arc::clone(&self.service);
        self.running
            .spawn(serve::serve(request, respond, wire, service));
        ControlFlow::Continue(())
    }

    fn ended(&mut self, ended: &Result<bool, JoinError>, frames: &mut Framed) {
        let answered = matches!(ended, Ok(true));
        if !self.budget.admits(answered) {
            frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
    }

    /// The time without a stream begins with the end of the last one.
    fn rest(&self, leaving: bool, timer: Pin<&mut Sleep>) {
        if self.running.is_empty() {
            let patience = if leaving { FAREWELL } else { self.idle };
            timer.reset(Instant::now() + patience);
        }
    }

    /// Writes down a stream that became no request: the protocol answered it, or nobody did.
    fn note(&self, cause: Cause) {
        let refuser = &self.service.refuser;
        let said = Said {
            protocol: Some("HTTP/2"),
            ..Said::default()
        };
        let wire = self.wire.stream(&self.id);
        refuser.record(refuser.refusal(&wire, said, cause));
    }

    /// The connection is gone: what still runs notices, or is cut.
    async fn end(mut self, cut: watch::Receiver<bool>) {
        let left = self.shared.ledger().close();
        left.into_iter().for_each(|cause| self.note(cause));
        tokio::select! {
            biased;
            () = turned(cut) => {}
            () = async { while self.running.join_next().await.is_some() {} } => {}
        }
        self.running.shutdown().await;
    }
}

/// Ends when `switch` is turned, or nobody is left to turn it.
async fn turned(mut switch: watch::Receiver<bool>) {
    // An error is that nobody is left.
    let _ = switch.wait_for(|turned| *turned).await;
}
