//! One HTTP/2 request on a connection of its own, with hyper; gRPC is one of them.

use std::net::SocketAddr;

use config::health::Http;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::USER_AGENT;
use super::answer::BODY;
use super::outcome::{Failed, Outcome};
use crate::pool::target::Health;

/// An answer, as far as it is looked at.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

/// Asks and judges the answer.
pub(super) async fn ask<S>(
    stream: S,
    http: &Http,
    scheme: &str,
    address: SocketAddr,
) -> Result<Outcome, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::builder()
        .method(&*http.method)
        .uri(uri(scheme, http.host.as_deref(), address, &http.path)?)
        .header(
            header::USER_AGENT,
            http.user_agent.as_deref().unwrap_or(USER_AGENT),
        )
        .header(header::ACCEPT, "*/*");
    if let Some(scheme) = http.client_scheme {
        request = request.header("x-forwarded-proto", scheme);
    }
    let request = request.body(Full::default());
    let request = request.map_err(|_| Failed::NotAnAnswer(UNASKABLE))?;
    let answer = exchange(stream, request).await?;
    Ok(judge(http, answer.status, &answer.body))
}

/// What the check of the file should have refused.
pub(super) const UNASKABLE: &str = "the check makes no request";

/// Where a request goes.
pub(super) fn uri(
    scheme: &str,
    host: Option<&str>,
    address: SocketAddr,
    path: &str,
) -> Result<Uri, Failed> {
    let host = host.map_or_else(|| address.to_string(), str::to_owned);
    let uri = Uri::builder().scheme(scheme).authority(host);
    let uri = uri.path_and_query(path).build();
    uri.map_err(|_| Failed::NotAnAnswer(UNASKABLE))
}

/// One request and its answer; the connection ends with it.
pub(super) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, driver) = handshake?;
    // Dropped at the end of the exchange, which ends the connection with it.
    let mut connection = JoinSet::new();
    connection.spawn(driver);
    whole(sender.send_request(request).await?).await
}

/// Reads the answer to its end, or as far as it is looked at.
async fn whole(response: Response<Incoming>) -> Result<Answer, Failed> {
    let (parts, mut incoming) = response.into_parts();
    let mut answer = Answer {
        status: parts.status.as_u16(),
        fields: parts.headers,
        body: Vec::new(),
        trailers: None,
    };
    while let Some(frame) = incoming.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                let left = BODY - answer.body.len();
                answer.body.extend_from_slice(&data[..data.len().min(left)]);
                if answer.body.len() == BODY {
                    break;
                }
            }
            Err(frame) => answer.trailers = frame.into_trailers().ok(),
        }
    }
    Ok(answer)
}

/// Whether an answer is one of those that `http` accepts.
pub(super) fn judge(http: &Http, status: u16, body: &[u8]) -> Outcome {
    if !http.accepted.contains(status) {
        return Outcome::wrong_status(status, &http.accepted);
    }
    match &http.body {
        Some(wanted) if !wanted.is_in(body) => Outcome::Ill(
            Health::WrongBody,
            format!("{status}, but the body has no {wanted}"),
        ),
        _ => Outcome::Healthy,
    }
}
