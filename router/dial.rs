//! One question over HTTP/1.1 on a connection of its own, as the command line, webhooks and scripted clients ask.
//!
//! It follows no redirect, asks nothing twice and knows no time: whoever asks says how long it waits.

mod address;

use std::error::Error;
use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

pub use address::Address;

/// Why there is no answer.
pub type Silence = Box<dyn Error + Send + Sync>;

/// A connection, in TLS or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects to `host`, a name or an address without brackets; `tls` comes with the name that the certificate must have.
///
/// # Errors
/// When there is no connection, or the other side is not believed.
pub async fn connect(
    host: &str,
    port: u16,
    tls: Option<(&TlsConnector, &str)>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let Some((connector, name)) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// Sends `request` over `stream`; an answer whose body has more than `largest` bytes is none.
///
/// # Errors
/// When there is no whole answer.
pub async fn ask(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    largest: usize,
) -> Result<Response<Bytes>, Silence> {
    let (answer, _carried) = send(stream, request).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, largest).collect().await?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Sends `request` over `stream`; the status of the answer, whose body is not read.
///
/// # Errors
/// When there is no head of an answer.
pub async fn ask_status(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<u16, Silence> {
    let (answer, _carried) = send(stream, request).await?;
    Ok(answer.status().as_u16())
}

/// The task that carries the connection ends with what is returned beside the answer.
async fn send(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, JoinSet<hyper::Result<()>>), Silence> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut carried = JoinSet::new();
    carried.spawn(connection);
    Ok((sender.send_request(request).await?, carried))
}
