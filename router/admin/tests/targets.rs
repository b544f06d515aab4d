//! Targets: listed with who names them, registered and deregistered, and every bad call refused by key.

use super::refusals::check;
use super::*;

const ECS: &str = "/api/v1/pools/ecs/targets";

impl Api {
    async fn targets(&self) -> Value {
        self.json(&format!("GET {ECS}"), Value::Null).await
    }
}

#[tokio::test]
async fn a_target_tells_how_it_is_and_who_names_it() {
    let api = api().await;
    let expected = |port: u16, source: &str| {
        json!({
            "address": format!("127.0.0.1:{port}"), "state": "healthy", "reason": null, "description": null, "weight": 1,
            "in_flight": 0, "since": "2026-11-21T02:00:00Z", "source": source, "change": null,
        })
    };
    let targets = api.targets().await;
    assert_eq!(
        targets,
        json!([expected(2, "file"), expected(3, "discovered")])
    );
    let one = api
        .json(&format!("GET {ECS}/127.0.0.1:3"), Value::Null)
        .await;
    assert_eq!(one, expected(3, "discovered"));
    assert!(api.get(ECS).await.has("etag: \"1\""));
}

#[tokio::test]
async fn registering_tells_before_and_after_and_who_did_it_stays_known() {
    let api = api().await;
    let body = json!({ "targets": [{ "address": "127.0.0.1:9", "weight": 2 }, "[::1]:9"], "reason": "green" });
    let answer = api.json(&format!("POST {ECS}"), body).await;
    assert_eq!(answer["revision"], 2);
    assert_eq!(answer["pool"], "ecs");
    assert_eq!(
        answer["before"],
        json!({ "127.0.0.1:9": null, "[::1]:9": null })
    );
    assert_eq!(answer["after"], json!({ "127.0.0.1:9": 2, "[::1]:9": 1 }));
    assert_eq!(
        (&answer["durable"], &answer["dry_run"]),
        (&json!(true), &json!(false))
    );
    let one = api.json(&format!("GET {ECS}/[::1]:9"), Value::Null).await;
    assert_eq!(one["source"], "registered");
    assert_eq!(one["change"]["revision"], 2);
    assert_eq!(one["change"]["actor"], "local");
    assert_eq!(one["change"]["reason"], "green");
    let status = api.json("GET /api/v1/status", Value::Null).await;
    assert_eq!(status["pools"][1]["registered"], 2);
}

#[tokio::test]
async fn one_target_needs_no_list_and_the_same_again_is_no_change() {
    let api = api().await;
    let body = json!({ "address": "127.0.0.1:9", "weight": 5 });
    let first = api.json(&format!("POST {ECS}"), body.clone()).await;
    let again = api.json(&format!("POST {ECS}"), body).await;
    assert_eq!(first["revision"], again["revision"]);
    assert_eq!(
        again["note"],
        "127.0.0.1:9 is a target with weight 5 already"
    );
    let other = json!({ "address": "127.0.0.1:9", "weight": 6 });
    let other = api.json(&format!("POST {ECS}"), other).await;
    assert_eq!(
        (&other["before"], &other["revision"]),
        (&json!({ "127.0.0.1:9": 5 }), &json!(3))
    );
}

#[tokio::test]
async fn deregistering_takes_the_address_from_the_path_or_a_list() {
    let api = api().await;
    let body = json!({ "targets": ["127.0.0.1:8", "[::1]:9", "127.0.0.1:9"] });
    api.json(&format!("POST {ECS}"), body).await;
    for path in ["[::1]:9", "%5B%3A%3A1%5D%3A9"] {
        let answer = api
            .json(&format!("DELETE {ECS}/{path}"), json!({ "dry_run": true }))
            .await;
        assert_eq!(answer["after"], json!({ "[::1]:9": null }), "{path}");
    }
    let one = api
        .json(&format!("DELETE {ECS}/127.0.0.1:2"), Value::Null)
        .await;
    assert_eq!(
        (&one["before"], &one["after"]),
        (
            &json!({ "127.0.0.1:2": 1 }),
            &json!({ "127.0.0.1:2": null })
        )
    );
    let body = json!({ "targets": ["127.0.0.1:8", { "address": "127.0.0.1:9" }] });
    let both = api.json(&format!("DELETE {ECS}"), body).await;
    assert_eq!(both["revision"], 4);
    let targets = api.targets().await;
    let states: Vec<_> = targets
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["draining", "healthy", "healthy"]);
}

#[tokio::test]
async fn what_is_left_out_and_named_by_nobody_is_still_shown() {
    let api = api().await;
    api.json(
        &format!("DELETE {ECS}/127.0.0.1:3"),
        json!({ "reason": "disk full" }),
    )
    .await;
    api.rig.discovery.lock().unwrap().clear();
    let targets = api.targets().await;
    let left_out = &targets[1];
    assert_eq!(left_out["address"], "127.0.0.1:3");
    assert_eq!(left_out["state"], "unused");
    assert_eq!(left_out["reason"], "Target.NotRegistered");
    assert_eq!(left_out["source"], Value::Null);
    assert_eq!(left_out["change"]["reason"], "disk full");
}

/// Call on the targets of `ecs`, body, status, key, part of the detail.
const BAD: &[(&str, &str, u16, &str, &str)] = &[
    (
        "POST",
        "",
        422,
        "targets",
        "targets: is missing; it must list the targets",
    ),
    (
        "POST",
        r#"{"targets":null}"#,
        422,
        "targets",
        "targets: is missing",
    ),
    (
        "POST",
        r#"{"targets":[]}"#,
        422,
        "targets",
        "targets: must name at least one target",
    ),
    (
        "POST",
        r#"{"targets":"127.0.0.1:9"}"#,
        422,
        "targets",
        "must be a list of targets",
    ),
    (
        "POST",
        r#"{"targets":{"address":"127.0.0.1:9"}}"#,
        422,
        "targets",
        "must be a list",
    ),
    (
        "POST",
        r#"{"targets":[7]}"#,
        422,
        "targets[0]",
        "must be an address or an object, not 7",
    ),
    (
        "POST",
        r#"{"targets":[null]}"#,
        422,
        "targets[0]",
        "must be an address or an object",
    ),
    (
        "POST",
        r#"{"targets":[{}]}"#,
        422,
        "targets[0].address",
        "is missing",
    ),
    (
        "POST",
        r#"{"targets":[{"adress":"127.0.0.1:9"}]}"#,
        422,
        "targets[0].adress",
        "unknown key; keys of a target are address, weight",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1:9",{"address":9}]}"#,
        422,
        "targets[1].address",
        "must be a text, not 9",
    ),
    (
        "POST",
        r#"{"targets":["web.internal:80"]}"#,
        422,
        "targets[0]",
        "is a host name",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1"]}"#,
        422,
        "targets[0]",
        "is not an IP address and port",
    ),
    (
        "POST",
        r#"{"targets":["::1:80"]}"#,
        422,
        "targets[0]",
        "as 127.0.0.1:8080 or [::1]:8080",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1:0"]}"#,
        422,
        "targets[0]",
        "has port 0",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1:65536"]}"#,
        422,
        "targets[0]",
        "is not an IP address and port",
    ),
    (
        "POST",
        r#"{"targets":[{"address":"127.0.0.1:9","weight":0}]}"#,
        422,
        "targets[0].weight",
        "must be a whole number from 1 to 1000, not 0",
    ),
    (
        "POST",
        r#"{"targets":[{"address":"127.0.0.1:9","weight":1001}]}"#,
        422,
        "targets[0].weight",
        "from 1 to 1000, not 1001",
    ),
    (
        "POST",
        r#"{"targets":[{"address":"127.0.0.1:9","weight":"2"}]}"#,
        422,
        "targets[0].weight",
        "not \"2\"",
    ),
    (
        "POST",
        r#"{"targets":[{"address":"127.0.0.1:9","weight":1.5}]}"#,
        422,
        "targets[0].weight",
        "not 1.5",
    ),
    (
        "POST",
        r#"{"targets":[{"address":"127.0.0.1:9","weight":1,"weight":2}]}"#,
        422,
        "targets[0].weight",
        "is given twice",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1:9",{"address":"127.0.0.1:9","weight":2}]}"#,
        422,
        "targets[1].address",
        "127.0.0.1:9 is given twice",
    ),
    (
        "POST",
        r#"{"targets":["127.0.0.1:9"],"address":"127.0.0.1:8"}"#,
        422,
        "targets",
        "must not stand beside address or weight",
    ),
    (
        "POST",
        r#"{"weight":1}"#,
        422,
        "address",
        "address: is missing",
    ),
    (
        "POST",
        r#"{"address":"x","weight":0}"#,
        422,
        "address",
        "is not an IP address and port",
    ),
    (
        "POST",
        r#"{"address":"127.0.0.1:9","weight":0}"#,
        422,
        "weight",
        "from 1 to 1000",
    ),
    (
        "POST",
        r#"{"address":"127.0.0.1:9","port":9}"#,
        422,
        "port",
        "unknown key; keys of this call are address, weight, targets, reason, dry_run",
    ),
    (
        "POST",
        r#"{"address":"127.0.0.1:9","force":true}"#,
        422,
        "force",
        "unknown key",
    ),
    ("DELETE", "", 422, "targets", "targets: is missing"),
    (
        "DELETE",
        r#"{"targets":["127.0.0.1:7"]}"#,
        404,
        "targets[0].address",
        "pool `ecs` has no target 127.0.0.1:7; its targets are 127.0.0.1:2, 127.0.0.1:3",
    ),
    (
        "DELETE",
        r#"{"targets":["127.0.0.1:2","127.0.0.1:7"]}"#,
        404,
        "targets[1].address",
        "no target 127.0.0.1:7",
    ),
    (
        "DELETE",
        r#"{"targets":["127.0.0.1:2","127.0.0.1:2"]}"#,
        422,
        "targets[1].address",
        "is given twice",
    ),
    (
        "DELETE",
        r#"{"targets":[{"address":"127.0.0.1:2","weight":1}]}"#,
        422,
        "targets[0].weight",
        "keys of a target are address",
    ),
    (
        "DELETE",
        r#"{"targets":["127.0.0.1:2","127.0.0.1:3"]}"#,
        409,
        "force",
        "would have no target left",
    ),
    (
        "DELETE /127.0.0.1:7",
        "",
        404,
        "address",
        "no target 127.0.0.1:7",
    ),
    (
        "DELETE /127.0.0.1:2",
        r#"{"targets":["127.0.0.1:3"]}"#,
        422,
        "targets",
        "unknown key; keys of this call are force, reason, dry_run",
    ),
    (
        "DELETE /127.0.0.1",
        "",
        422,
        "address",
        "is not an IP address and port",
    ),
    ("DELETE /127.0.0.1:0", "", 422, "address", "has port 0"),
    (
        "DELETE /web.internal:80",
        "",
        422,
        "address",
        "is a host name",
    ),
    (
        "GET /127.0.0.1:7",
        "",
        404,
        "address",
        "no target 127.0.0.1:7",
    ),
];

#[tokio::test]
async fn bad_calls_about_targets_are_refused_by_key_and_change_nothing() {
    let api = api().await;
    for (call, body, status, key, part) in BAD {
        let (method, address) = call.split_once(' ').unwrap_or((call, ""));
        let answer = api.call(&format!("{method} {ECS}{address}"), body).await;
        let what = format!("{call} {body}");
        check(&what, &answer, *status, part);
        assert_eq!(answer.json()["errors"][0]["key"], *key, "{what}");
        assert_eq!(api.rig.control.standing().revision(), 1, "{what}");
    }
    assert!(api.rig.observed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_pool_is_told_the_names_there_are() {
    let api = api().await;
    for (method, rest, body) in [
        ("GET", "", ""),
        ("GET", "/127.0.0.1:2", ""),
        ("POST", "", r#"{"address":"127.0.0.1:9"}"#),
        ("DELETE", "", r#"{"targets":["127.0.0.1:2"]}"#),
        ("DELETE", "/127.0.0.1:2", ""),
    ] {
        let call = format!("{method} /api/v1/pools/esc/targets{rest}");
        let answer = api.call(&call, body).await;
        check(
            &call,
            &answer,
            404,
            "pool `esc` does not exist; pools are ec2, ecs",
        );
        assert_eq!(answer.json()["errors"][0]["key"], "name");
    }
    let answer = api
        .call("GET /api/v1/pools/%ff/targets/127.0.0.1:2", "")
        .await;
    check("%ff", &answer, 400, "is not UTF-8");
}

#[tokio::test]
async fn a_viewer_may_look_and_an_operator_may_change() {
    let api = api_behind(Door::Network).await;
    let body = r#"{"address":"127.0.0.1:9"}"#;
    for (token, looks, changes) in [(VIEWER, 200, 403), (OPERATOR, 200, 200), ("x", 401, 401)] {
        let head = |call: &str| {
            format!(
                "{call} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
            )
        };
        let list = api.raw(&head(&format!("GET {ECS}")), "").await;
        let post = api.raw(&head(&format!("POST {ECS}")), body).await;
        let delete = head(&format!("DELETE {ECS}/127.0.0.1:9"));
        let delete = api.raw(&delete, "").await;
        let found = (list.status, post.status, delete.status);
        assert_eq!(found, (looks, changes, changes), "{token}");
    }
    assert_eq!(
        api.rig.control.standing().live.targets.len(),
        0,
        "registered and deregistered again"
    );
}

#[tokio::test]
async fn a_stale_precondition_changes_no_target() {
    let api = api().await;
    let head = format!(
        "POST {ECS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIf-Match: \"7\""
    );
    let answer = api.raw(&head, r#"{"address":"127.0.0.1:9"}"#).await;
    check("stale", &answer, 412, "revision 1 is in force, not 7");
}
