//! Routes that answer by themselves: another address, a fixed text.

use std::fs;

use serde_json::Value;

use crate::support::{File, Kanaria, Stub, get, request};

const ROUTES: &str = r##"
[[routes]]
name = "old-host"
match = { host = "old.example.com" }
redirect = { host = "www.example.com", status = 301 }
[[routes]]
name = "moved"
match = { path = "/moved/*" }
redirect = { protocol = "https", path = "/new/#{path}", query = "from=#{host}&#{query}", status = 308 }
[[routes]]
name = "closed"
match = { path = "/closed" }
respond = { status = 503, content_type = "text/html", body = "<h1>Back at nine</h1>", retry_after = "2m" }
[[routes]]
name = "page"
match = { path = "/page" }
respond = { status = 503, content_type = "text/html", body_file = "maintenance.html" }
[[routes]]
name = "nothing"
match = { path = "/nothing" }
respond = { status = 204 }
"##;

fn start(stub: &Stub) -> Kanaria {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("maintenance.html"), "<p>first").unwrap();
    let file = File::split(stub, stub, "ec2 = 1, ecs = 1").before(ROUTES);
    Kanaria::start_in(folder, &file)
}

#[test]
fn a_redirect_names_the_address_and_takes_no_pool() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let mut client = kanaria.client();
    let answer = client.call(get("/x/y?q=1", "Host: old.example.com\r\n"));
    assert_eq!(answer.status, 301);
    let location = answer.head.get("location");
    assert_eq!(location, Some("http://www.example.com/x/y?q=1"));
    assert_eq!(answer.head.get("set-cookie"), None);
    let answer = client.call(get("/moved/a?q=1", ""));
    assert_eq!(
        (answer.status, answer.head.get("location")),
        (
            308,
            Some("https://www.example.com/new/moved/a?from=www.example.com&q=1")
        )
    );
    let log = kanaria.log_of(2);
    assert_eq!(
        (&log[0]["route"], &log[0]["status"]),
        (&"old-host".into(), &301.into())
    );
    for unknown in [
        "pool",
        "reason",
        "bucket",
        "sticky",
        "weights",
        "error",
        "upstream_addr",
    ] {
        assert_eq!(log[0][unknown], Value::Null, "{unknown}");
    }
    let metrics = kanaria.admin.metrics();
    let series = r#"kanaria_requests_total{code="301",partition="main",pool="",reason="",route="old-host"} 1"#;
    assert!(metrics.contains(series), "{metrics}");
    assert_eq!(stub.count(), 0);
}

#[test]
fn an_address_above_8_kib_is_507() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let mut client = kanaria.client();
    let long = "x".repeat(9_000);
    let answer = client.call(get(&format!("/{long}"), "Host: old.example.com\r\n"));
    assert_eq!((answer.status, answer.head.get("location")), (507, None));
    let log = kanaria.log_of(1);
    assert_eq!(log[0]["error"], "redirect_too_long");
    assert_eq!(client.call(get("/", "")).status, 200);
}

#[test]
fn a_fixed_answer_is_the_files_and_head_has_no_body() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let mut client = kanaria.client();
    let answer = client.call(get("/closed", ""));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (503, "<h1>Back at nine</h1>")
    );
    assert_eq!(answer.head.get("retry-after"), Some("120"));
    assert_eq!(answer.head.get("content-type"), Some("text/html"));
    assert_eq!(answer.head.get("set-cookie"), None);
    let head = client.call(request("HEAD", "/closed", "", ""));
    assert_eq!(
        head.head.get("content-length"),
        answer.head.get("content-length")
    );
    let nothing = client.call(get("/nothing", ""));
    assert_eq!(
        (nothing.status, nothing.head.get("content-length")),
        (204, None)
    );
    assert_eq!(client.call(get("/page", "")).text(), "<p>first");
    assert_eq!(stub.count(), 0);
    let log = kanaria.log_of(4);
    assert_eq!(
        (&log[0]["route"], &log[0]["error"]),
        (&"closed".into(), &Value::Null)
    );
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection_after_the_answer() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let chunks = b"3\r\nabc\r\n0\r\n\r\n";
    let chunked = request("POST", "/moved/a", "Transfer-Encoding: chunked\r\n", "");
    let waiting = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    for (bytes, status) in [
        (request("POST", "/closed", "", "abc").into_bytes(), 503),
        (
            request("POST", "/closed", "", &"x".repeat(300_000)).into_bytes(),
            503,
        ),
        ([chunked.as_bytes(), chunks].concat(), 308),
        (request("POST", "/closed", waiting, "").into_bytes(), 503),
    ] {
        let mut client = kanaria.client();
        let answer = client.call(&bytes);
        assert_eq!((answer.status, answer.closes()), (status, true));
        assert!(client.wire.closed());
    }
    let mut client = kanaria.client();
    for _ in 0..3 {
        let answer = client.call(request("POST", "/closed", "Content-Length: 0\r\n", ""));
        assert_eq!((answer.status, answer.closes()), (503, false));
        assert_eq!(client.call(get("/", "")).stub(), "ec2");
    }
}

#[test]
fn a_changed_page_is_served_after_a_reload_and_a_missing_one_is_refused() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let mut client = kanaria.client();
    let page = kanaria.path("maintenance.html");
    fs::write(&page, "<p>second").unwrap();
    assert_eq!(client.call(get("/page", "")).text(), "<p>first");
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    assert_eq!(client.call(get("/page", "")).text(), "<p>second");
    fs::write(&page, vec![b'x'; (1 << 20) + 1]).unwrap();
    let refused = kanaria.run(&["reload"]);
    assert!(
        refused.code != Some(0) && refused.stderr.contains("larger than 1 MiB"),
        "{refused:?}"
    );
    fs::remove_file(&page).unwrap();
    let refused = kanaria.run(&["check", "kanaria.toml"]);
    assert_eq!(refused.code, Some(78));
    assert!(
        refused.stderr.contains("routes[3].respond.body_file"),
        "{refused:?}"
    );
    assert_eq!(client.call(get("/page", "")).text(), "<p>second");
}

#[test]
fn a_route_that_answers_by_itself_is_shown_and_cannot_be_changed() {
    let stub = Stub::start("ec2");
    let kanaria = start(&stub);
    let status = kanaria.run_json(&["status"]);
    let route = &status["routes"][0];
    assert_eq!(
        (&route["name"], &route["action"]),
        (&"old-host".into(), &"redirect".into())
    );
    assert_eq!(route["stable"], Value::Null);
    assert_eq!(
        route["answer"],
        "301 to #{protocol}://www.example.com/#{path}?#{query}"
    );
    let text = kanaria.run(&["status"]).stdout;
    assert!(
        text.contains("old-host   answers by itself: 301 to"),
        "{text}"
    );
    let told = kanaria
        .run(&["explain", "GET", "http://old.example.com/x"])
        .stdout;
    assert!(
        told.contains("→ route old-host answers by itself: 301"),
        "{told}"
    );
    let refused = kanaria.run(&["weights", "old-host", "ec2=1"]);
    assert!(
        refused.stderr.contains("`old-host` has no pools"),
        "{refused:?}"
    );
    assert_eq!(kanaria.run(&["rollback"]).code, Some(0));
    assert_eq!(
        kanaria
            .client()
            .call(get("/", "Host: old.example.com\r\n"))
            .status,
        301
    );
}

/// The routes of `config/examples/browser.toml`, which docs/migrating-from-alb.md shows.
const BROWSER: &str = include_str!("../config/examples/browser.toml");

#[test]
fn hsts_and_cors_are_plain_header_rules() {
    let stub = Stub::start("ec2");
    let routes = &BROWSER[BROWSER.find("[[routes]]").unwrap()..];
    let kanaria = Kanaria::start(&File::split(&stub, &stub, "ec2 = 1, ecs = 1").before(routes));
    let mut client = kanaria.client();
    let host = "Host: api.example.com\r\nOrigin: https://www.example.com\r\n";
    let asks = format!("{host}Access-Control-Request-Method: POST\r\n");
    let preflight = client.call(request("OPTIONS", "/orders", &asks, ""));
    let field = |name| preflight.head.get(name);
    assert_eq!((preflight.status, stub.count()), (204, 0));
    assert_eq!(
        field("access-control-allow-origin"),
        Some("https://www.example.com")
    );
    assert_eq!(field("access-control-allow-methods"), Some("GET, POST"));
    let answer = client.call(get("/orders", host));
    let field = |name| answer.head.get(name);
    assert_eq!(field("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(
        field("access-control-allow-origin"),
        Some("https://www.example.com")
    );
    assert_eq!(field("vary"), Some("Origin"));
    // An OPTIONS that is no preflight is the application's.
    assert_eq!(client.call(request("OPTIONS", "/", host, "")).stub(), "ec2");
}
