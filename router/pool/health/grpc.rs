//! gRPC's own health check: `grpc.health.v1.Health/Check`, or any other method by its status alone.
//!
//! Two messages of one field each are written and read by hand: their form has been fixed since 2015, and a library
//! for them would bring a code generator into the build.

use std::net::SocketAddr;

use config::health::Grpc;
use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::USER_AGENT;
use super::http2::{UNASKABLE, exchange, uri};
use super::outcome::{Failed, Outcome};

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u64 = 1;

/// Asks and judges the answer.
pub(super) async fn ask<S>(
    stream: S,
    grpc: &Grpc,
    scheme: &str,
    address: SocketAddr,
) -> Result<Outcome, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let message = message(grpc.service.as_deref().unwrap_or_default());
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri(scheme, grpc.host.as_deref(), address, &grpc.method)?)
        .header(
            header::USER_AGENT,
            grpc.user_agent.as_deref().unwrap_or(USER_AGENT),
        )
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from(message)));
    let request = request.map_err(|_| Failed::NotAnAnswer(UNASKABLE))?;
    let answer = exchange(stream, request).await?;
    if answer.status != 200 {
        let seen = format!("HTTP status {}", answer.status);
        return Ok(Outcome::wrong_status(seen, "a gRPC answer"));
    }
    // An answer without a message has its status where others have their fields.
    let status = answer.trailers.as_ref().and_then(status);
    let status = status.or_else(|| self::status(&answer.fields));
    let status = status.ok_or(Failed::NotAnAnswer("the answer has no gRPC status"))?;
    Ok(judge(grpc, status, &answer.body))
}

fn status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn judge(grpc: &Grpc, status: u16, body: &[u8]) -> Outcome {
    if !grpc.accepted.contains(status) {
        let seen = format!("gRPC status {status}{}", name(status));
        return Outcome::wrong_status(seen, &grpc.accepted);
    }
    if status != 0 || grpc.service.is_none() {
        return Outcome::Healthy;
    }
    match serving_status(body) {
        Some(SERVING) => Outcome::Healthy,
        Some(other) => Outcome::wrong_status(serving_name(other), "SERVING"),
        None => Outcome::of_failure(&Failed::NotAnAnswer("the answer is no health status")),
    }
}

/// `HealthCheckRequest { service: string = 1 }` in a gRPC frame: not compressed, its length, the message.
fn message(service: &str) -> Vec<u8> {
    let mut field = Vec::new();
    if !service.is_empty() {
        field.push(1 << 3 | 2);
        write_varint(&mut field, service.len() as u64);
        field.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&(field.len() as u32).to_be_bytes());
    frame.extend_from_slice(&field);
    frame
}

/// `HealthCheckResponse { status: enum = 1 }`; other fields are skipped, an absent one is 0, as protobuf has it.
fn serving_status(body: &[u8]) -> Option<u64> {
    let (prefix, mut message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || message.len() != length as usize {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = read_varint(&mut message)?,
            (_, 0) => drop(read_varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(read_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn write_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn serving_name(status: u64) -> String {
    match status {
        0 => "UNKNOWN".into(),
        2 => "NOT_SERVING".into(),
        3 => "SERVICE_UNKNOWN".into(),
        other => format!("serving status {other}"),
    }
}

/// The names of gRPC's own codes; an application may have others.
fn name(status: u16) -> &'static str {
    const NAMES: [&str; 17] = [
        " (OK)",
        " (CANCELLED)",
        " (UNKNOWN)",
        " (INVALID_ARGUMENT)",
        " (DEADLINE_EXCEEDED)",
        " (NOT_FOUND)",
        " (ALREADY_EXISTS)",
        " (PERMISSION_DENIED)",
        " (RESOURCE_EXHAUSTED)",
        " (FAILED_PRECONDITION)",
        " (ABORTED)",
        " (OUT_OF_RANGE)",
        " (UNIMPLEMENTED)",
        " (INTERNAL)",
        " (UNAVAILABLE)",
        " (DATA_LOSS)",
        " (UNAUTHENTICATED)",
    ];
    NAMES.get(usize::from(status)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::target::Health;

    fn grpc(service: Option<&str>, accepted: &str) -> Grpc {
        Grpc {
            method: config::health::GRPC_METHOD.into(),
            service: service.map(str::to_owned),
            host: None,
            user_agent: None,
            accepted: accepted.parse().unwrap(),
        }
    }

    fn told(outcome: Outcome) -> String {
        match outcome {
            Outcome::Ill(Health::WrongStatus | Health::Failed, told) => told,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_service_is_the_first_field_of_the_message() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(
            message(&"x".repeat(200))[..8],
            [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]
        );
    }

    #[test]
    fn only_serving_is_healthy() {
        let judged = |status: u8| told(judge(&grpc(Some(""), "0"), 0, &[0, 0, 0, 0, 2, 8, status]));
        assert_eq!(judged(1), "Healthy");
        assert_eq!(judged(2), "NOT_SERVING, expected SERVING");
        assert_eq!(judged(3), "SERVICE_UNKNOWN, expected SERVING");
        let absent = judge(&grpc(Some(""), "0"), 0, &[0; 5]);
        assert_eq!(told(absent), "UNKNOWN, expected SERVING");
    }

    #[test]
    fn of_another_method_only_the_status_counts() {
        let other = grpc(None, "0,12");
        assert_eq!(judge(&other, 12, &[]), Outcome::Healthy);
        assert_eq!(judge(&other, 0, &[]), Outcome::Healthy);
        let refused = told(judge(&other, 5, &[]));
        assert_eq!(refused, "gRPC status 5 (NOT_FOUND), expected 0,12");
    }

    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let fields = [
            0x10, 0x96, 1, 0x1a, 2, 8, 2, 8, 1, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        let body = [&[0, 0, 0, 0, fields.len() as u8][..], &fields].concat();
        assert_eq!(serving_status(&body), Some(1));
    }

    #[test]
    fn a_body_that_is_no_message_is_told_as_such() {
        let cut: [&[u8]; 5] = [
            b"",
            &[0, 0, 0, 0, 3, 8, 1],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x0a, 9],
        ];
        for body in cut {
            assert_eq!(serving_status(body), None, "{body:?}");
        }
        let told = told(judge(&grpc(Some(""), "0"), 0, b"<html>"));
        assert_eq!(told, "the answer is no health status");
    }
}
