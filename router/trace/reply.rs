//! What a collector says to spans (OTLP 1.x, "OTLP/HTTP Response"). Pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// No collector may ask for a longer pause: by then it is another one, or well again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What is to be done after an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// It has them, but for some that it will never take.
    Taken { rejected: u64, why: String },
    /// It may take them later, not before the pause that it asks for.
    Later {
        why: String,
        pause: Option<Duration>,
    },
    /// It will not take them, whenever they are sent.
    Never(String),
}

impl Reply {
    /// What `answer`, which came at `now`, means.
    pub(super) fn of(answer: &Response<impl AsRef<[u8]>>, now: SystemTime) -> Self {
        let status = answer.status();
        let why = format!("it answers {}", status.as_u16());
        match status {
            status if status.is_success() => taken(answer.body().as_ref()),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Later {
                why,
                pause: pause(answer.headers(), now),
            },
            _ => Self::Never(why),
        }
    }
}

/// A body that is no such message says nothing about spans that were not taken.
fn taken(body: &[u8]) -> Reply {
    let partial = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let partial = partial.partial_success.unwrap_or_default();
    Reply::Taken {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        why: partial.error_message,
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[track_caller]
    fn reply(status: u16, retry_after: &str, body: &[u8]) -> Reply {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut answer = Response::builder().status(status);
        if !retry_after.is_empty() {
            answer = answer.header(header::RETRY_AFTER, retry_after);
        }
        Reply::of(&answer.body(body).unwrap(), now)
    }

    fn is_later(reply: &Reply) -> bool {
        matches!(reply, Reply::Later { .. })
    }

    #[test]
    fn only_four_statuses_ask_for_another_try() {
        for status in 400..600 {
            let expect = matches!(status, 429 | 502 | 503 | 504);
            assert_eq!(is_later(&reply(status, "", b"")), expect, "{status}");
        }
        for status in [300, 302, 400, 401, 404, 413, 500] {
            let expect = Reply::Never(format!("it answers {status}"));
            assert_eq!(reply(status, "5", b""), expect);
        }
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_bounded() {
        for (text, expect) in [
            ("", None),
            ("soon", None),
            ("-1", None),
            ("0", Some(0)),
            ("17", Some(17)),
            ("100000", Some(300)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:49:17 GMT", Some(0)),
        ] {
            let Reply::Later { pause, .. } = reply(503, text, b"") else {
                panic!("{text}");
            };
            assert_eq!(pause, expect.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn what_was_rejected_is_said_in_an_answer_that_is_good() {
        let message = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too old".into(),
            }),
        };
        let taken = |rejected, why: &str| Reply::Taken {
            rejected,
            why: why.into(),
        };
        assert_eq!(
            reply(200, "", &message.encode_to_vec()),
            taken(3, "too old")
        );
        for body in [&b""[..], b"{}", b"\xff\xff"] {
            assert_eq!(reply(200, "", body), taken(0, ""));
        }
    }
}
