//! `server.health_path`: how a load balancer in front learns whether this router is to get traffic.
//!
//! It is asked over a listener like any request and answered here, before anything is routed. No user asked, so there is
//! no line in a log and it counts as no request. It says nothing of the targets: those are every router's, and a load
//! balancer that took all routers out for them would turn a slow answer into none.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::StatusCode;
use http::request::Parts;

/// Whether the router is to get traffic.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// From now on traffic is to go elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// The answer: its status and its body.
    pub(super) fn answer(&self) -> (StatusCode, &'static str) {
        if self.draining.load(Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else {
            (StatusCode::OK, "ok\n")
        }
    }

    /// The answer to a `head` of HTTP/1.1. It closes: who checks now and then comes on a new connection.
    pub(super) fn raw(&self, head: &[u8]) -> Vec<u8> {
        let (status, body) = self.answer();
        let (length, shown) = (body.len(), if is_head(head) { "" } else { body });
        format!(
            "HTTP/1.1 {status}\r\nServer: kanaria\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{shown}"
        )
        .into_bytes()
    }
}

/// Whether a `head` of HTTP/1.1 asks for `path`; the empty one is asked for by nobody.
pub(super) fn is_asked(head: &[u8], path: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    let target = head.strip_prefix(b"GET ");
    let target = target.or_else(|| head.strip_prefix(b"HEAD "));
    let rest = target.and_then(|target| target.strip_prefix(path.as_bytes()));
    rest.is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'?')))
}

/// As `is_asked`, of HTTP/2.
pub(super) fn is_asked_by(head: &Parts, path: &str) -> bool {
    !path.is_empty() && head.uri.path() == path && matches!(head.method.as_str(), "GET" | "HEAD")
}

fn is_head(head: &[u8]) -> bool {
    head.starts_with(b"HEAD ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_asked_for_with_get_and_head_and_any_query() {
        for (head, is_meant) in [
            ("GET /healthz HTTP/1.1\r\n", true),
            ("GET /healthz HTTP/1.0\r\n", true),
            ("HEAD /healthz HTTP/1.1\r\n", true),
            ("GET /healthz?from=nlb HTTP/1.1\r\n", true),
            ("POST /healthz HTTP/1.1\r\n", false),
            ("GET /healthz/ HTTP/1.1\r\n", false),
            ("GET /healthzz HTTP/1.1\r\n", false),
            ("GET /Healthz HTTP/1.1\r\n", false),
            ("GET /?/healthz HTTP/1.1\r\n", false),
        ] {
            assert_eq!(is_asked(head.as_bytes(), "/healthz"), is_meant, "{head}");
            assert!(!is_asked(head.as_bytes(), ""), "{head}");
        }
    }

    #[test]
    fn the_answer_has_a_body_for_get_and_its_length_for_head() {
        let readiness = Readiness::default();
        let get = String::from_utf8(readiness.raw(b"GET / HTTP/1.1\r\n")).unwrap();
        assert!(get.starts_with("HTTP/1.1 200 OK\r\n") && get.ends_with("\r\n\r\nok\n"));
        readiness.drain();
        let head = String::from_utf8(readiness.raw(b"HEAD / HTTP/1.1\r\n")).unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(head.contains("Content-Length: 9\r\n") && head.ends_with("\r\n\r\n"));
    }
}
