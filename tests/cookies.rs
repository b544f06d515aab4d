//! The cookies of the pools: conflicts that are found, what is told of them, and that they end with the rule.

use serde_json::Value;

use crate::support::{Client, File, Jar, Kanaria, Stub, get, request, until, volley};

/// An application with `/login`, `/logout`, and pages that answer with the cookies they got; its session cookie `sess`
/// has `attributes`.
pub(crate) fn application(name: &'static str, attributes: &'static str) -> Stub {
    Stub::with(name, move |exchange| {
        let field = match exchange.path() {
            "/login" => format!("Set-Cookie: sess={name}-secret{attributes}; Path=/\r\n"),
            "/logout" => format!("Set-Cookie: sess={attributes}; Path=/; Max-Age=0\r\n"),
            _ => String::new(),
        };
        let seen = exchange.head.get("cookie").unwrap_or_default().to_owned();
        exchange.answer("200 OK", &field, seen.as_bytes())
    })
}

/// The environments of GREE: the old one sets its cookie for the domain, the new one for the host.
pub(crate) fn gree() -> (Stub, Stub) {
    (
        application("ec2", "; Domain=example.com"),
        application("ecs", ""),
    )
}

/// `n` clients that log in, each placed by itself.
pub(crate) fn log_in(kanaria: &Kanaria, n: usize) {
    volley(kanaria.public, n, 2, |_| get("/login", ""));
}

/// What is known of the cookies of the route `web` once there are `n` conflicts.
#[track_caller]
pub(crate) fn conflicts(kanaria: &Kanaria, n: u64) -> Value {
    until("as many conflicts as there are", || {
        let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
        (cookies["conflicts"] == n).then_some(cookies)
    })
}

/// Adds `rule`, which names pools that the file has already, to the file of `kanaria`.
pub(crate) fn paste(kanaria: &Kanaria, rule: &str) {
    let text = std::fs::read_to_string(kanaria.path("kanaria.toml")).unwrap();
    kanaria.rewrite(&format!("{text}\n{rule}"));
    let outcome = kanaria.run(&["reload"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_conflict_is_told_everywhere_and_no_value_anywhere() {
    let (ec2, ecs) = gree();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    assert_eq!(
        kanaria.admin.metric("kanaria_cookie_conflicts", &["web"]),
        0.0
    );
    let mut listener = Client::connect(kanaria.admin.address);
    let host = kanaria.admin.address;
    let ask = format!("GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    listener.wire.send(ask).unwrap();
    listener.wire.head().unwrap().unwrap();
    log_in(&kanaria, 100);
    let cookies = conflicts(&kanaria, 1);
    let mut told = String::new();
    until("the event", || {
        told.push_str(&String::from_utf8_lossy(&listener.wire.some().unwrap()));
        (told.contains("event: cookie_conflict") && told.contains("two cookies")).then_some(())
    });
    until("the metric", || {
        let n = kanaria.admin.metric("kanaria_cookie_conflicts", &["web"]);
        (n == 1.0).then_some(())
    });
    let shown = kanaria.run(&["cookies"]).stdout;
    assert!(shown.contains("[pools.ecs.cookies]"), "{shown}");
    let log = kanaria.stderr();
    assert!(log.contains("kanaria cookies web"), "{log}");
    for text in [
        told,
        shown,
        log,
        cookies.to_string(),
        kanaria.admin.metrics(),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_pipeline_stops_at_a_conflict_and_at_nothing_else() {
    let (ec2, ecs) = (
        application("ec2", "; HttpOnly"),
        application("ecs", "; HttpOnly"),
    );
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    log_in(&kanaria, 50);
    let fail_on = ["cookies", "web", "--fail-on", "conflict"];
    let outcome = kanaria.run(&fail_on);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("0 conflicts, 2 kinds of cookies seen"),
        "{outcome:?}"
    );
    assert_eq!(kanaria.run(&["cookies", "nowhere"]).code, Some(1));
    assert_eq!(
        kanaria.run(&["cookies", "--fail-on", "everything"]).code,
        Some(64)
    );
    assert_eq!(kanaria.run_json(&["cookies"])[0]["route"], "web");
}

#[test]
fn a_route_with_one_pool_has_nothing_to_compare() {
    let ec2 = application("ec2", "");
    let kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.client().call(get("/login", "Cookie: a=1; a=2\r\n"));
    let outcome = kanaria.run(&["cookies", "web"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("has no two pools"), "{outcome:?}");
    let all = kanaria.run(&["cookies"]);
    assert!(all.stdout.contains("no route has two pools"), "{all:?}");
    assert_eq!(kanaria.log_of(1)[0]["cookie_dup"], Value::Null);
}

#[test]
fn a_cookie_that_is_sent_twice_is_counted_by_name_and_logged() {
    let (ec2, ecs) = gree();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    for cookie in ["sess=1; sess=2", "a=1; b=2; A=3", "x=1; x=2; sess=3"] {
        client.call(get("/", &format!("Cookie: {cookie}\r\n")));
    }
    let log = kanaria.log_of(3);
    let logged: Vec<_> = log.iter().map(|line| &line["cookie_dup"]).collect();
    assert_eq!(
        logged,
        [&Value::from("sess"), &Value::Null, &Value::from("x")]
    );
    let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
    assert_eq!(cookies["requests_twice"], 2);
    assert_eq!(
        cookies["twice"][0],
        serde_json::json!({"cookie": "sess", "requests": 1})
    );
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_cookie_duplicates_total", &["web"]),
        2.0
    );
}

#[test]
fn our_own_cookie_is_never_a_finding() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
    assert_eq!(cookies["cookies"], serde_json::json!([]));
}

/// A page of one pool and a part of it from another: as far as it can be known without keeping anything of a client.
#[test]
fn a_part_of_a_page_that_may_not_fit_it_is_counted() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut client = kanaria.client();
    let mut jar = Jar::default();
    jar.visit(&mut client, "/page");
    let page = "Referer: http://www.example.com/page\r\n";
    let part = |cookies: &str| get("/app.js", &format!("{page}{cookies}"));
    let skewed = |cause: &str| kanaria.admin.metric("kanaria_skew_total", &["web", cause]);
    client.call(part(&jar.line()));
    assert_eq!([skewed("cookieless"), skewed("failover")], [0.0, 0.0]);
    client.call(part(""));
    assert_eq!(skewed("cookieless"), 1.0);
    ecs.die();
    let answer = client.call(part(&jar.line()));
    assert_eq!((answer.status, answer.stub()), (200, "ec2"));
    client.call(get(
        "/app.js",
        &format!("Referer: http://other.test/\r\n{}", jar.line()),
    ));
    assert_eq!([skewed("cookieless"), skewed("failover")], [1.0, 1.0]);
    let shown = kanaria.run(&["cookies", "web"]).stdout;
    assert!(
        shown.contains("may not fit the page they belong to: cookieless 1, failover 1"),
        "{shown}"
    );
}

/// A cache in front would give one pool's answer to the clients of the other.
#[test]
fn an_answer_for_shared_caches_is_counted_by_pool() {
    let cached = |name: &'static str| {
        Stub::with(name, |exchange| {
            let control = match exchange.path() {
                "/logo.png" => "Cache-Control: max-age=60, public\r\n",
                _ => "Cache-Control: max-age=60\r\n",
            };
            exchange.answer("200 OK", control, b"")
        })
    };
    let (ec2, ecs) = (cached("ec2"), cached("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut client = kanaria.client();
    for path in ["/", "/logo.png", "/logo.png"] {
        client.call(request(
            "GET",
            path,
            "Cookie: kanaria=AAAAAAAAAAAAAAAAAAAAAA\r\n",
            "",
        ));
    }
    let counted = |pool: &str| {
        kanaria
            .admin
            .metric("kanaria_cacheable_total", &["web", pool])
    };
    assert_eq!([counted("ec2"), counted("ecs")], [0.0, 2.0]);
    let shown = kanaria.run(&["cookies", "web"]).stdout;
    assert!(
        shown.contains("answers of ecs that caches in front may give"),
        "{shown}"
    );
    assert!(shown.contains("2, the first for /logo.png"), "{shown}");
}
