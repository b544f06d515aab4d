//! Bad calls: each refused with a status and words that name key or place, and nothing changed.

use super::*;

/// Call, body, status, part of the detail.
const BAD: &[(&str, &str, u16, &str)] = &[
    // Not understood at all.
    (PUT, "{", 400, "not JSON: EOF"),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10}} x"#,
        400,
        "trailing characters at line 1 column 33",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":090,"ecs":10}}"#,
        400,
        "invalid number at line 1",
    ),
    (PUT, "[]", 422, "the body must be a JSON object"),
    (PUT, "95", 422, "the body must be a JSON object"),
    (PUT, "weights=1", 400, "not JSON"),
    // Keys.
    (PUT, "", 422, "weights: is missing"),
    (PUT, "{}", 422, "weights: is missing"),
    (PUT, r#"{"weights":null}"#, 422, "weights: is missing"),
    (
        PUT,
        r#"{"weigths":{"ec2":90,"ecs":10}}"#,
        422,
        "weigths: unknown key; keys of this call are weights, force, reason, dry_run",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10},"forse":true}"#,
        422,
        "forse: unknown key",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10},"weights":{"ec2":1,"ecs":1}}"#,
        422,
        "weights: is given twice",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10,"ecs":50}}"#,
        422,
        "weights.ecs: is given twice",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10},"force":"yes"}"#,
        422,
        "force: must be true or false, not \"yes\"",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10},"dry_run":1}"#,
        422,
        "dry_run: must be true or false, not 1",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":10},"reason":7}"#,
        422,
        "reason: must be a text, not 7",
    ),
    // Weights.
    (
        PUT,
        r#"{"weights":[90,10]}"#,
        422,
        "weights: must be an object",
    ),
    (PUT, r#"{"weights":{}}"#, 422, "missing ec2, ecs"),
    (PUT, r#"{"weights":{"ec2":100}}"#, 422, "missing ecs"),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":5,"fargate":5}}"#,
        422,
        "unknown fargate",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"esc":10}}"#,
        422,
        "missing ecs, unknown esc",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":101,"ecs":-1}}"#,
        422,
        "weights.ecs: must be a whole number from 0 to 1000000, not -1",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":"10"}}"#,
        422,
        "weights.ecs: must be a whole number from 0 to 1000000, not \"10\"",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":9.5}}"#,
        422,
        "weights.ecs: must be a whole number from 0 to 1000000, not 9.5",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":true}}"#,
        422,
        "weights.ecs: must be a whole number",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":null}}"#,
        422,
        "weights.ecs: must be a whole number",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":99999999999}}"#,
        422,
        "weights.ecs: must be a whole number",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":90,"ecs":1000001}}"#,
        422,
        "weight 1000001 of pool `ecs` is too large",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":1000000,"ecs":1}}"#,
        422,
        "weight 1 of pool `ecs` is less than 0.01 %",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":0,"ecs":0}}"#,
        409,
        "weights are all 0",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":40,"ecs":60}}"#,
        409,
        "more than max_step = 50 percent points",
    ),
    (
        PUT,
        r#"{"weights":{"ec2":-1,"ecs":-1},"reason":7}"#,
        422,
        "weights.ec2: must be a whole number from 0 to 1000000, not -1; weights.ecs",
    ),
    // Routes and revisions.
    (
        "PUT /api/v1/routes/blog/weights",
        GOOD,
        404,
        "route `blog` does not exist; routes are blogs, images",
    ),
    ("PUT /api/v1/routes/%ff/weights", GOOD, 400, "is not UTF-8"),
    (
        "GET /api/v1/routes/blog",
        "",
        404,
        "route `blog` does not exist",
    ),
    (
        "POST /api/v1/routes/blog/rollback",
        "",
        404,
        "route `blog` does not exist",
    ),
    (
        "POST /api/v1/routes/blog/resume",
        "",
        404,
        "route `blog` does not exist",
    ),
    (
        "POST /api/v1/routes/blog/reshuffle",
        "",
        404,
        "route `blog` does not exist",
    ),
    ("POST /api/v1/restore", "", 422, "revision: is missing"),
    (
        "POST /api/v1/restore",
        r#"{"revision":"1"}"#,
        422,
        "revision: must be a whole number of 0 or more, not \"1\"",
    ),
    (
        "POST /api/v1/restore",
        r#"{"revision":-1}"#,
        422,
        "revision: must be a whole number",
    ),
    (
        "POST /api/v1/restore",
        r#"{"revision":99}"#,
        404,
        "revision 99 is not in the journal, which has 1 to 1",
    ),
    (
        "POST /api/v1/rollback",
        r#"{"route":"blogs"}"#,
        422,
        "route: unknown key; keys of this call are reason, dry_run",
    ),
    (
        "POST /api/v1/rollback?dry_run=true",
        "",
        422,
        "this call takes no query parameters",
    ),
    (
        "POST /api/v1/reload",
        r#"{"force":true}"#,
        422,
        "force: unknown key",
    ),
    // Looking and trying.
    (
        "GET /api/v1/history?limit=0",
        "",
        422,
        "limit: must be one whole number from 1 to 10000, not `0`",
    ),
    ("GET /api/v1/history?limit=x", "", 422, "limit: must be"),
    (
        "GET /api/v1/history?limit=1&limit=2",
        "",
        422,
        "limit: is given more than once",
    ),
    (
        "GET /api/v1/history?since=1",
        "",
        422,
        "since: unknown parameter",
    ),
    ("POST /api/v1/explain", "{}", 422, "url: is missing"),
    (
        "POST /api/v1/explain",
        r#"{"url":"blog"}"#,
        422,
        "url: must be http://HOST/PATH",
    ),
    (
        "POST /api/v1/explain",
        r#"{"url":"/","method":"G T"}"#,
        422,
        "method: `G T` is not a method",
    ),
    (
        "POST /api/v1/explain",
        r#"{"url":"/","client_ip":"x"}"#,
        422,
        "client_ip: `x` is not an address",
    ),
    (
        "POST /api/v1/explain",
        r#"{"url":"/","headers":{"a b":"c"}}"#,
        422,
        "headers.a b: is not a header field",
    ),
    (
        "POST /api/v1/explain",
        r#"{"url":"/","headers":[["a"]]}"#,
        422,
        "headers: each pair must be [name, value]",
    ),
    (
        "POST /api/v1/explain",
        r#"{"url":"/","listener":"x"}"#,
        422,
        "listener: listener `x` does not exist",
    ),
    (
        "POST /api/v1/check",
        r#"{"text":"{"}"#,
        422,
        "kanaria.toml: EOF",
    ),
    // Places and methods.
    ("GET /api/v1/route", "", 404, "there is no `/api/v1/route`"),
    ("GET /api/v1/routes/", "", 404, "there is no"),
    (
        "GET /api/v2/status",
        "",
        404,
        "there is no `/api/v2/status`",
    ),
    (
        "DELETE /api/v1/routes/blogs",
        "",
        405,
        "does not take DELETE",
    ),
    ("GET /api/v1/rollback", "", 405, "does not take GET"),
    (
        "POST /api/v1/routes/blogs/weights",
        GOOD,
        405,
        "does not take POST",
    ),
    (
        "PATCH /api/v1/routes/blogs/weights",
        GOOD,
        405,
        "does not take PATCH",
    ),
];

const PUT: &str = "PUT /api/v1/routes/blogs/weights";
const GOOD: &str = r#"{"weights":{"ec2":90,"ecs":10}}"#;

/// Whether an answer is a problem that says `part`.
#[track_caller]
pub(super) fn check(what: &str, answer: &Answer, status: u16, part: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert!(
        answer.has("content-type: application/problem+json"),
        "{what}: {}",
        answer.head
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{what}");
    assert!(
        problem["type"]
            .as_str()
            .unwrap()
            .starts_with("urn:kanaria:problem:")
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(part), "{what}: {detail}");
    if status == 422 {
        assert!(
            problem["errors"][0]["message"].is_string(),
            "{what}: {problem}"
        );
    }
}

#[tokio::test]
async fn bad_calls_are_refused_with_key_or_place_and_change_nothing() {
    let api = api().await;
    for (call, body, status, part) in BAD {
        let answer = api.call(call, body).await;
        check(&format!("{call} {body}"), &answer, *status, part);
        assert_eq!(api.rig.control.standing().revision(), 1, "{call} {body}");
    }
    assert_eq!(api.rig.published_ecs(), 5);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let answer = api().await.call("DELETE /api/v1/routes/blogs", "").await;
    assert!(answer.has("allow: GET,HEAD"), "{}", answer.head);
}

#[tokio::test]
async fn a_body_that_is_not_called_json_is_refused() {
    let api = api().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let head = format!("{PUT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}");
        let answer = api.raw(&head, GOOD).await;
        check(kind, &answer, 415, "Content-Type: application/json");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_cut_off_is_refused() {
    let api = api().await;
    let large = json!({ "reason": "x".repeat(70_000) }).to_string();
    let answer = api.call("POST /api/v1/rollback", &large).await;
    check("large", &answer, 413, "more than 65536 bytes");
    let long = json!({ "reason": "x".repeat(1001) }).to_string();
    let answer = api.call("POST /api/v1/rollback", &long).await;
    check(
        "long",
        &answer,
        422,
        "reason: must have at most 1000 characters",
    );
    assert_eq!(api.rig.control.standing().revision(), 1);
}

#[tokio::test]
async fn a_precondition_that_fails_or_is_none_is_refused() {
    let api = api().await;
    for (given, status, part) in [
        ("\"7\"", 412, "revision 1 is in force, not 7"),
        ("W/\"1\"", 400, "must be one revision in quotes"),
        ("abc", 400, "must be one revision in quotes"),
        ("\"1\", \"2\"", 400, "must be one revision in quotes"),
        ("", 400, "must be one revision in quotes"),
    ] {
        let head = format!(
            "{PUT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIf-Match: {given}"
        );
        let answer = api.raw(&head, GOOD).await;
        check(given, &answer, status, part);
        let head =
            format!("POST /api/v1/rollback HTTP/1.1\r\nHost: localhost\r\nIf-Match: {given}");
        check(given, &api.raw(&head, "").await, status, part);
    }
    assert_eq!(api.rig.control.standing().revision(), 1);
}

#[tokio::test]
async fn a_latched_route_is_a_conflict_until_force() {
    let api = api().await;
    api.json("POST /api/v1/rollback", Value::Null).await;
    let answer = api.call(PUT, GOOD).await;
    check("latched", &answer, 409, "route `blogs` is rolled_back");
    assert_eq!(answer.json()["errors"][0]["key"], "weights.ecs");
    let forced = r#"{"weights":{"ec2":90,"ecs":10},"force":true}"#;
    assert_eq!(api.call(PUT, forced).await.status, 200);
}

#[tokio::test]
async fn without_a_disk_a_change_is_refused_and_a_rollback_is_not() {
    let api = api().await;
    api.rig.break_disk();
    let answer = api.call(PUT, GOOD).await;
    check("disk", &answer, 503, "nothing was changed");
    let done = api.json("POST /api/v1/rollback", Value::Null).await;
    assert_eq!(done["durable"], false);
    assert!(
        done["warnings"][0]
            .as_str()
            .unwrap()
            .contains("not written down")
    );
    let status = api.json("GET /api/v1/status", Value::Null).await;
    assert_eq!(status["durable"], false);
}

#[tokio::test]
async fn a_refused_file_is_answered_with_all_its_problems() {
    let api = api().await;
    *api.rig.file.lock().unwrap() = Err(crate::control::Invalid {
        text: "two things".into(),
        problems: vec![
            json!({ "line": 1, "message": "one" }),
            json!({ "line": 2, "message": "two" }),
        ],
    });
    for call in ["POST /api/v1/reload", "POST /api/v1/check"] {
        let answer = api.call(call, "").await;
        check(call, &answer, 422, "two things");
        assert_eq!(answer.json()["errors"][1]["line"], 2);
    }
    assert_eq!(api.rig.control.standing().revision(), 1);
}
