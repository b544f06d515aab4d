//! The admin API from outside: who may, what is refused, what is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, File, Kanaria, Stub, until};

fn split() -> (Stub, Stub, Kanaria) {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    (ec2, ecs, kanaria)
}

#[test]
fn a_problem_is_rfc_9457_and_names_what_is_wrong() {
    let (_ec2, _ecs, kanaria) = split();
    let cases = [
        ("GET", "/api/v1/routes/nowhere", "", 404, "nowhere"),
        ("GET", "/api/v1/nothing", "", 404, ""),
        ("DELETE", "/api/v1/status", "", 405, ""),
        (
            "PUT",
            "/api/v1/routes/web/weights",
            "{\"weights\": {\"ec2\": 1}}",
            422,
            "ecs",
        ),
        (
            "PUT",
            "/api/v1/routes/nowhere/weights",
            "{\"weights\": {\"ec2\": 1}}",
            404,
            "nowhere",
        ),
        (
            "POST",
            "/api/v1/restore",
            "{\"revision\": 999999}",
            404,
            "revision",
        ),
    ];
    let revision = kanaria.admin.revision();
    for (method, path, body, status, part) in cases {
        let answer = kanaria.admin.call(method, path, "", body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let kind = answer.head.get("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/problem+json"),
            "{path}: {kind}"
        );
        let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(
            problem["title"].is_string() && problem.to_string().contains(part),
            "{problem}"
        );
    }
    assert_eq!(kanaria.admin.revision(), revision);
}

#[test]
fn a_page_in_a_browser_cannot_reach_it() {
    let (_ec2, _ecs, kanaria) = split();
    let revision = kanaria.admin.revision();
    let port = kanaria.admin.address.port();
    let post = |fields: &str| {
        let message = format!(
            "POST /api/v1/rollback HTTP/1.1\r\n{fields}Connection: close\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{{}}"
        );
        Client::connect(kanaria.admin.address).call(message).status
    };
    let own = format!("Host: 127.0.0.1:{port}\r\n");
    for fields in [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("{own}Origin: http://evil.example\r\n"),
        format!("{own}Origin: null\r\n"),
    ] {
        let status = post(&fields);
        assert!(matches!(status, 400 | 403 | 421), "{fields:?}: {status}");
    }
    assert_eq!(kanaria.admin.revision(), revision);
    assert_eq!(post(&own), 200);
}

#[test]
fn tokens_open_what_their_role_allows() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::start("ecs");
    let token = |name: &str| {
        use sha2::{Digest, Sha256};
        let hash: String = Sha256::digest(name)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("[[admin.tokens]]\nname = \"{name}\"\nrole = \"{name}\"\nsha256 = \"{hash}\"\n")
    };
    let tokens = ["viewer", "operator", "admin"].map(token).concat();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5").admin(&tokens);
    let kanaria = Kanaria::start(&file);
    let calls = [
        ("GET", "/api/v1/status", "", [401, 200, 200, 200]),
        ("GET", "/metrics", "", [401, 200, 200, 200]),
        ("POST", "/api/v1/rollback", "{}", [401, 403, 200, 200]),
        ("POST", "/api/v1/reload", "{}", [401, 403, 403, 200]),
        ("GET", "/livez", "", [200; 4]),
        ("GET", "/readyz", "", [200; 4]),
    ];
    for (method, path, body, expected) in calls {
        for (bearer, status) in ["wrong", "viewer", "operator", "admin"]
            .into_iter()
            .zip(expected)
        {
            let fields = format!("Authorization: Bearer {bearer}\r\n");
            let answer = kanaria.admin.call(method, path, &fields, body);
            assert_eq!(answer.status, status, "{bearer} {path}: {}", answer.text());
        }
    }
    let fields = "Authorization: Bearer viewer\r\n";
    let history = kanaria
        .admin
        .call("GET", "/api/v1/history", fields, "")
        .text();
    assert!(history.contains("token:operator"), "{history}");
}

#[test]
fn every_answer_carries_the_revision_as_its_tag() {
    let (_ec2, _ecs, kanaria) = split();
    let revision = kanaria.admin.set_web(90, 10)["revision"].as_u64().unwrap();
    let answer = kanaria.admin.call("GET", "/api/v1/routes/web", "", "");
    assert_eq!(
        answer.head.get("etag"),
        Some(format!("\"{revision}\"").as_str())
    );
}

#[test]
fn the_description_names_the_calls() {
    let (_ec2, _ecs, kanaria) = split();
    let document = kanaria.admin.get("/openapi.json");
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    for path in [
        "/api/v1/status",
        "/api/v1/routes/{name}/weights",
        "/api/v1/rollback",
        "/api/v1/events",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[test]
fn events_tell_of_a_change_within_a_second() {
    let (_ec2, _ecs, kanaria) = split();
    let mut listener = Client::connect(kanaria.admin.address);
    let host = kanaria.admin.address;
    let ask =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n");
    listener.wire.send(ask).unwrap();
    let head = listener.wire.head().unwrap().unwrap();
    assert!(head.line.contains(" 200"), "{}", head.line);
    assert!(
        head.get("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    let began = Instant::now();
    kanaria.admin.set_web(11, 89);
    let mut told = String::new();
    until("the event", || {
        told.push_str(&String::from_utf8_lossy(&listener.wire.some().unwrap()));
        told.contains("89").then_some(())
    });
    println!("told after {:?}, bound 1 s", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn check_judges_a_text_and_changes_nothing() {
    let (ec2, _ecs, kanaria) = split();
    let revision = kanaria.admin.revision();
    let text = File::single(&ec2).text();
    let check = |text: &str| {
        let body = json!({ "text": text }).to_string();
        kanaria.admin.call("POST", "/api/v1/check", "", &body)
    };
    assert_eq!(check(&text).status, 200, "{}", check(&text).text());
    let answer = check(&format!("{text}\nwrong = 1\n"));
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("wrong"), "{}", answer.text());
    assert_eq!(kanaria.admin.revision(), revision);
}

#[test]
fn explain_agrees_with_what_a_request_meets() {
    let (_ec2, _ecs, kanaria) = split();
    kanaria.admin.set_web(1, 1);
    let mut client = kanaria.client();
    for n in 0..50 {
        let cookie = format!("kanaria={n:A<22}");
        let went = client
            .call(crate::support::get("/", &format!("Cookie: {cookie}\r\n")))
            .stub()
            .to_owned();
        let body = json!({ "method": "GET", "url": "http://www.example.com/", "headers": { "cookie": cookie } });
        let explained = kanaria.admin.post("/api/v1/explain", &body);
        assert_eq!(explained["decision"]["pool"], went, "{explained}");
    }
}

#[test]
fn bodies_that_are_too_large_or_of_another_kind_are_refused() {
    let (_ec2, _ecs, kanaria) = split();
    let revision = kanaria.admin.revision();
    let huge = format!("{{\"reason\": \"{}\"}}", "x".repeat(4 << 20));
    let answer = Client::connect(kanaria.admin.address)
        .try_call(format!(
            "POST /api/v1/rollback HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{huge}",
            kanaria.admin.address,
            huge.len()
        ))
        .map_or(413, |answer| answer.status);
    assert_eq!(answer, 413);
    let form = format!(
        "POST /api/v1/rollback HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
        kanaria.admin.address
    );
    let status = Client::connect(kanaria.admin.address).call(form).status;
    assert_eq!(status, 415);
    assert_eq!(kanaria.admin.revision(), revision);
}
