//! Who gets in, by which door, in which role.

use super::*;

const STATUS: &str = "GET /api/v1/status HTTP/1.1";

#[track_caller]
fn check(answer: &Answer, status: u16, part: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(part), "{}", answer.body);
}

#[tokio::test]
async fn on_loopback_nobody_needs_a_token_when_there_is_none() {
    let api = api().await;
    let get = async |fields: &str| api.raw(&format!("{STATUS}\r\n{fields}"), "").await;
    check(&get("Host: localhost").await, 200, "revision");
    check(&get("Host: 127.0.0.1:9900").await, 200, "revision");
    check(&get("Host: [::1]:9900").await, 200, "revision");
    check(
        &get("Host: localhost\r\nAuthorization: Bearer wrong").await,
        401,
        "the token is not known",
    );
}

#[tokio::test]
async fn tokens_are_asked_for_on_loopback_too_but_not_behind_a_socket_file() {
    let get = format!("{STATUS}\r\nHost: localhost");
    let loopback = api_behind(Door::Loopback).await;
    check(&loopback.raw(&get, "").await, 401, "needs a token");
    let with = format!("{get}\r\nAuthorization: Bearer {VIEWER}");
    check(&loopback.raw(&with, "").await, 200, "revision");
    let unix = api_behind(Door::Unix).await;
    check(&unix.raw(&get, "").await, 200, "revision");
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_not_enough() {
    let api = api().await;
    for host in [
        "evil.example.com",
        "evil.example.com:9900",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "localhost.evil.example",
        "",
    ] {
        let answer = api.raw(&format!("{STATUS}\r\nHost: {host}"), "").await;
        check(&answer, 403, "loopback");
    }
    let twice = "\r\nHost: localhost\r\nHost: evil.example.com";
    let answer = api.raw(&format!("{STATUS}{twice}"), "").await;
    assert!(matches!(answer.status, 400 | 403), "{}", answer.body);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let api = api().await;
    let post = "POST /api/v1/rollback HTTP/1.1\r\nHost: localhost:9900";
    for fields in [
        "Origin: http://evil.example.com",
        "Origin: null",
        "Origin: http://localhost:8080",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        let answer = api.raw(&format!("{post}\r\n{fields}"), "").await;
        check(&answer, 403, "another");
    }
    assert_eq!(api.rig.control.standing().revision(), 1);
    let own = "Origin: http://localhost:9900\r\nSec-Fetch-Site: same-origin";
    let answer = api.raw(&format!("{post}\r\n{own}"), "").await;
    check(&answer, 200, "revision");
}

#[tokio::test]
async fn from_the_network_a_token_is_needed_and_its_role_counts() {
    let api = api_behind(Door::Network).await;
    let call = async |line: &str, token: &str, body: &str| {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: kanaria.internal\r\nContent-Type: application/json\r\nAuthorization: {token}"
        );
        api.raw(&head, body).await
    };
    let viewer = format!("Bearer {VIEWER}");
    let operator = format!("bearer {OPERATOR}");
    let weights = r#"{"weights":{"ec2":90,"ecs":10}}"#;
    let put = "PUT /api/v1/routes/blogs/weights";

    let bare = api
        .raw(&format!("{STATUS}\r\nHost: kanaria.internal"), "")
        .await;
    check(&bare, 401, "needs a token");
    assert!(bare.has("www-authenticate: Bearer"));
    check(&call("GET /api/v1/status", "Basic abc", "").await, 401, "");
    check(&call("GET /api/v1/status", "Bearer", "").await, 401, "");
    check(&call("GET /nothing", "Bearer x", "").await, 401, "");
    check(&call("GET /metrics", "Bearer x", "").await, 401, "");
    check(&call("GET /api/v1/status", &viewer, "").await, 200, "");
    check(&call("GET /metrics", &viewer, "").await, 200, "");
    check(
        &call(put, &viewer, weights).await,
        403,
        "token:watcher has role viewer; this call needs operator",
    );
    check(
        &call("POST /api/v1/reload", &operator, "").await,
        403,
        "needs admin",
    );
    check(
        &call("POST /api/v1/check", &operator, "").await,
        403,
        "needs admin",
    );
    check(&call(put, &operator, weights).await, 200, "");
    let standing = api.rig.control.standing();
    assert_eq!(standing.touched.routes["blogs"].actor, "token:ci");
    assert_eq!(standing.revision(), 2);
}

#[tokio::test]
async fn probes_need_no_token_and_no_name() {
    let api = api_behind(Door::Network).await;
    for path in ["/livez", "/readyz"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: whatever");
        assert_eq!(api.raw(&head, "").await.status, 200);
    }
}

#[tokio::test]
async fn answers_may_not_be_cached_framed_or_guessed() {
    let answer = api().await.get("/api/v1/status").await;
    for field in [
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
    ] {
        assert!(answer.has(field), "{field}: {}", answer.head);
    }
}
