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

/// Which form of a page a client prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// HTML, which is what a client gets that does not say.
    #[default]
    Html,
    /// JSON, by RFC 9457.
    Json,
}

impl Accept {
    /// What the value of `Accept` asks for (RFC 9110 section 12.5.1): JSON when it is preferred to HTML by its weight, or
    /// named where HTML is not.
    pub fn of(accept: Option<&[u8]>) -> Self {
        let ranges = || accept.unwrap_or_default().split(|byte| *byte == b',');
        let weight =
            |wanted: fn(&str) -> bool| ranges().filter_map(|range| weight(range, wanted)).max();
        let json = weight(|kind| kind == "application/json" || kind.ends_with("+json"));
        let html = weight(|kind| kind == "text/html" || kind == "application/xhtml+xml");
        if json.unwrap_or(0) > html.unwrap_or(0) {
            Self::Json
        } else {
            Self::Html
        }
    }
}

/// The weight in thousandths of `range`, an entry of `Accept`, if its media type is `wanted`.
fn weight(range: &[u8], wanted: fn(&str) -> bool) -> Option<u16> {
    let range = std::str::from_utf8(range).ok()?.to_ascii_lowercase();
    let mut parts = range.split(';').map(str::trim);
    if !wanted(parts.next()?) {
        return None;
    }
    let given = parts.find_map(|part| part.strip_prefix("q="));
    let given = given.map_or(Some(1.0), |given| given.parse::<f32>().ok());
    given.map(|weight| (weight.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// The page for `status` in the form that `accept` says.
pub fn page(status: StatusCode, request_id: &str, accept: Accept) -> Page {
    let reason = reason(status);
    if accept == Accept::Json {
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
pub fn raw(status: StatusCode, request_id: &str, accept: Accept) -> Vec<u8> {
    let reason = reason(status);
    let Page { content_type, body } = page(status, request_id, accept);
    let length = body.len();
    let code = status.as_u16();
    format!(
        "HTTP/1.1 {code} {reason}\r\nServer: kanaria\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         X-Request-Id: {request_id}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The words of a status, also of those that only an ALB has.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        463 => "Too Many Forwarded Addresses",
        464 => "Incompatible Protocol Versions",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_with_the_request_id() {
        let page = page(
            StatusCode::BAD_GATEWAY,
            "abc",
            Accept::of(Some(b"text/html,application/json")),
        );
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(page.body.contains("502 Bad Gateway") && page.body.contains("abc"));
    }

    #[test]
    fn a_program_that_asks_for_json_gets_a_problem() {
        let page = page(StatusCode::NOT_FOUND, "abc", Accept::Json);
        assert_eq!(page.content_type, "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&404.into(), &"abc".into())
        );
    }

    #[test]
    fn the_form_is_what_a_client_prefers() {
        for (accept, expect) in [
            ("", Accept::Html),
            ("*/*", Accept::Html),
            ("application/json", Accept::Json),
            ("Application/JSON; charset=utf-8", Accept::Json),
            ("application/problem+json", Accept::Json),
            ("text/html, application/json;q=0.9", Accept::Html),
            ("text/html;q=0.8, application/json;q=0.9", Accept::Json),
            ("application/json;q=0", Accept::Html),
            ("application/json;q=x", Accept::Html),
            ("application/jsonp", Accept::Html),
        ] {
            assert_eq!(Accept::of(Some(accept.as_bytes())), expect, "{accept}");
        }
        assert_eq!(Accept::of(None), Accept::Html);
        assert_eq!(Accept::of(Some(b"\xff, application/json")), Accept::Json);
    }

    #[test]
    fn a_raw_answer_says_its_length_and_closes() {
        let answer =
            String::from_utf8(raw(StatusCode::REQUEST_TIMEOUT, "abc", Accept::Html)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 408 Request Timeout\r\n")
                && head.ends_with("Connection: close")
        );
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
