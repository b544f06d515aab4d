//! Answers of our own: a small page, or JSON for who asks for it, with the request id a user can read out at night.

use http::StatusCode;

/// The body of an answer and what it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub body: String,
}

/// The page for `status`; JSON when `accept` names it and does not name HTML.
pub fn page(status: StatusCode, request_id: &str, accept: Option<&[u8]>) -> Page {
    let reason = status.canonical_reason().unwrap_or("Error");
    if accept.is_some_and(wants_json) {
        let code = status.as_u16();
        let body = format!(
            "{{\"type\":\"about:blank\",\"status\":{code},\"title\":\"{reason}\",\"request_id\":\"{request_id}\"}}\n"
        );
        return Page {
            content_type: "application/problem+json",
            body,
        };
    }
    let code = status.as_u16();
    let body = format!(
        "<!doctype html>\n<title>{code} {reason}</title>\n<h1>{code} {reason}</h1>\n<p>Request <code>{request_id}</code></p>\n"
    );
    Page {
        content_type: "text/html; charset=utf-8",
        body,
    }
}

/// A whole answer as bytes, for a head that nobody but us has read. It always closes the connection.
pub fn raw(status: StatusCode, request_id: &str) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let Page { content_type, body } = page(status, request_id, None);
    let length = body.len();
    let code = status.as_u16();
    format!(
        "HTTP/1.1 {code} {reason}\r\nServer: kanaria\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         X-Request-Id: {request_id}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn wants_json(accept: &[u8]) -> bool {
    let accept = String::from_utf8_lossy(accept);
    accept.contains("json") && !accept.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_with_the_request_id() {
        let page = page(
            StatusCode::BAD_GATEWAY,
            "abc",
            Some(b"text/html,application/json"),
        );
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(page.body.contains("502 Bad Gateway") && page.body.contains("abc"));
    }

    #[test]
    fn a_program_that_asks_for_json_gets_a_problem() {
        let page = page(StatusCode::NOT_FOUND, "abc", Some(b"application/json"));
        assert_eq!(page.content_type, "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&404.into(), &"abc".into())
        );
    }

    #[test]
    fn a_raw_answer_says_its_length_and_closes() {
        let answer = String::from_utf8(raw(StatusCode::REQUEST_TIMEOUT, "abc")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 408 Request Timeout\r\n")
                && head.ends_with("Connection: close")
        );
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
