//! Calls that are answered, and what their answers hold.

use super::*;

#[tokio::test]
async fn weights_are_set_and_the_answer_tells_before_and_after() {
    let api = api().await;
    let answer = api.set(30).await;
    assert_eq!(answer["revision"], 2);
    assert_eq!(answer["before"], json!({ "ec2": 95, "ecs": 5 }));
    assert_eq!(answer["after"], json!({ "ec2": 70, "ecs": 30 }));
    assert_eq!(answer["durable"], true);
    assert_eq!(answer["state"], "normal");
    assert_eq!(answer["owner"], "live");
    assert!(answer["in_force_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(api.rig.published_ecs(), 30);
}

#[tokio::test]
async fn a_route_tells_its_weights_and_who_set_them() {
    let api = api().await;
    api.set(30).await;
    let route = api.json("GET /api/v1/routes/blogs", Value::Null).await;
    assert_eq!(route["name"], "blogs");
    assert_eq!(route["stable"], "ec2");
    assert_eq!(route["weights"], json!({ "ec2": 70, "ecs": 30 }));
    assert_eq!(route["owner"], "live");
    assert_eq!(route["state"], "normal");
    assert_eq!(route["ramp"], Value::Null);
    assert_eq!(route["guard"], Value::Null);
    assert_eq!(route["share"]["asked"]["ecs"], 0.3);
    assert_eq!(route["share"]["users"]["ecs"], 0.05);
    assert_eq!(route["share"]["requests"]["ec2"], Value::Null);
    assert_eq!(route["actor"], "local");
    assert_eq!(route["reason"], "next step");
    let all = api.json("GET /api/v1/routes", Value::Null).await;
    assert_eq!(all[0], route);
    assert_eq!(all[1]["name"], "images");
}

#[tokio::test]
async fn the_status_tells_revision_routes_and_pools() {
    let api = api().await;
    let answer = api.get("/api/v1/status").await;
    assert!(answer.has("etag: \"1\""), "{}", answer.head);
    let status = answer.json();
    assert_eq!(status["revision"], 1);
    assert_eq!(status["state"], "new");
    assert_eq!(status["durable"], true);
    assert_eq!(status["config_digest"].as_str().unwrap().len(), 12);
    assert_eq!(status["routes"][0]["name"], "blogs");
    let warning = status["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("`ecs`: dns web.ecs.internal:8080 fails for 30 s"),
        "{warning}"
    );
    assert_eq!(
        status["pools"][0],
        json!({
            "name": "ec2", "healthy": 2, "total": 2, "registered": 0, "deregistered": 0, "out": [], "discovery": null,
        })
    );
}

#[tokio::test]
async fn a_rollback_takes_one_route_or_all_and_needs_no_body() {
    let api = api().await;
    let one = api
        .json("POST /api/v1/routes/blogs/rollback", Value::Null)
        .await;
    assert_eq!(one["after"], json!({ "ec2": 100, "ecs": 0 }));
    assert_eq!(one["state"], "rolled_back");
    let resumed = api
        .json("POST /api/v1/routes/blogs/resume", Value::Null)
        .await;
    assert_eq!(resumed["state"], "normal");
    api.set(10).await;
    let all = api
        .json("POST /api/v1/rollback", json!({ "reason": "errors" }))
        .await;
    assert_eq!(all["before"], json!({ "blogs": { "ec2": 90, "ecs": 10 } }));
    assert_eq!(all["after"], json!({ "blogs": { "ec2": 100, "ecs": 0 } }));
    let again = api.json("POST /api/v1/rollback", Value::Null).await;
    assert_eq!(again["revision"], all["revision"]);
    assert_eq!(again["note"], "already at 100 % stable");
}

#[tokio::test]
async fn a_dry_run_answers_what_would_be_and_changes_nothing() {
    let api = api().await;
    let body = json!({ "weights": { "ec2": 90, "ecs": 10 }, "dry_run": true });
    let answer = api
        .call("PUT /api/v1/routes/blogs/weights", &body.to_string())
        .await;
    assert!(answer.has("etag: \"1\""), "{}", answer.head);
    let dry = answer.json();
    assert_eq!(
        (&dry["revision"], &dry["dry_run"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(dry["durable"], Value::Null);
    assert_eq!(api.rig.published_ecs(), 5);
}

#[tokio::test]
async fn history_is_newest_first_and_restore_brings_back() {
    let api = api().await;
    api.set(30).await;
    api.set(40).await;
    let history = api.json("GET /api/v1/history?limit=2", Value::Null).await;
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["revision"], 3);
    assert_eq!(history[0]["actor"], "local");
    assert_eq!(history[0]["reason"], "next step");
    let restored = api
        .json("POST /api/v1/restore", json!({ "revision": 2 }))
        .await;
    assert_eq!(restored["after"]["blogs"]["ecs"], 30);
}

#[tokio::test]
async fn a_reshuffle_needs_empty_canaries_or_force() {
    let api = api().await;
    let call = "POST /api/v1/routes/blogs/reshuffle";
    assert_eq!(api.call(call, "").await.status, 409);
    let forced = api.json(call, json!({ "force": true })).await;
    assert_eq!(forced["revision"], 2);
}

#[tokio::test]
async fn reload_and_check_answer_with_the_file() {
    let api = api().await;
    *api.rig.file.lock().unwrap() = Ok(file(90, 10));
    let checked = api.json("POST /api/v1/check", Value::Null).await;
    assert_eq!(checked["routes"], json!(["blogs", "images"]));
    assert_eq!(api.rig.published_ecs(), 5);
    let reloaded = api.json("POST /api/v1/reload", Value::Null).await;
    assert_eq!(reloaded["after"]["blogs"]["ecs"], 10);
    assert_eq!(reloaded["held"], json!([]));
    let text = file(80, 20).to_string();
    let body = json!({ "text": text, "name": "x.json" });
    let checked = api.json("POST /api/v1/check", body).await;
    assert_eq!(
        checked["config_digest"].as_str().unwrap(),
        &*compiled(&file(80, 20)).digest
    );
}

#[tokio::test]
async fn explain_takes_headers_in_every_form() {
    let api = api().await;
    for headers in [
        json!({ "Host": "blog.example.com" }),
        json!({ "host": ["blog.example.com"] }),
        json!([["Host", "blog.example.com"], ["Cookie", "a=b"]]),
    ] {
        let body = json!({ "url": "/a?b=c", "headers": headers, "client_ip": "192.0.2.1" });
        let explained = api.json("POST /api/v1/explain", body).await;
        assert_eq!(explained["steps"][0]["text"], "blog.example.com");
        assert_eq!(explained["decision"]["query"], "b=c");
        assert_eq!(explained["decision"]["client_ip"], "192.0.2.1");
    }
    let body = json!({ "method": "GET", "url": "http://a.example.com/x" });
    let explained = api.json("POST /api/v1/explain", body).await;
    assert_eq!(explained["steps"][0]["text"], "a.example.com");
}

#[tokio::test]
async fn metrics_and_probes_are_answered() {
    let api = api().await;
    let text = api.get("/metrics").await;
    assert_eq!(text.body, "kanaria_revision 1\n");
    assert!(text.has("Content-Type: text/plain; version=0.0.4"));
    let kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let head =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {kind}, text/plain;q=0.5");
    let messages = api.raw(&head, "").await;
    assert_eq!(messages.body, "\u{12}");
    assert!(messages.has(&format!("Content-Type: {kind}")));
    assert_eq!(api.get("/livez").await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 200);
    for phase in [Phase::Starting, Phase::Draining] {
        api.phase.send(phase).unwrap();
        assert_eq!(api.get("/readyz").await.status, 503);
        assert_eq!(api.get("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let api = api().await;
    let answer = api.call("HEAD /api/v1/status", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.has("etag: \"1\""));
}

#[tokio::test]
async fn the_openapi_document_names_every_call() {
    let api = api().await;
    let document = api.json("GET /openapi.json", Value::Null).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 33, "{paths:?}");
    for path in paths {
        let filled = path.replace("{name}", "blogs");
        let status = api.call(&format!("OPTIONS {filled}"), "").await.status;
        assert_eq!(status, 405, "{path} is documented and there");
    }
    let put = &document["paths"]["/api/v1/routes/{name}/weights"]["put"];
    assert!(put["requestBody"].is_object());
    assert!(document["components"]["schemas"]["WeightsBody"].is_object());
}

#[tokio::test]
async fn the_page_shows_what_is_in_force_and_escapes_it() {
    let api = api().await;
    let body = json!({ "weights": { "ec2": 90, "ecs": 10 }, "reason": "<script>" });
    api.json("PUT /api/v1/routes/blogs/weights", body).await;
    let page = api.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("ec2=90 ecs=10"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script"));
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'; style-src 'sha256-")
    );
}

#[tokio::test]
async fn events_are_streamed_as_they_happen() {
    let api = api().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = read_until(&mut stream, "retry: 2000").await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    api.set(30).await;
    text = read_until(&mut stream, "\n\n").await;
    assert!(text.contains("event: change\nid: 2\ndata: {"), "{text}");
    assert!(text.contains("\"actor\":\"local\""), "{text}");
    let note = json!({ "text": "ecs: deployed", "route": "blogs" });
    api.json("POST /api/v1/annotations", note).await;
    text = read_until(&mut stream, "\n\n").await;
    let told = "\"annotation\":{\"text\":\"ecs: deployed\",\"route\":\"blogs\"}";
    assert!(text.contains(told), "{text}");
    *api.rig.file.lock().unwrap() = Err(crate::control::fixture::invalid("bad"));
    api.call("POST /api/v1/reload", "").await;
    text = read_until(&mut stream, "\n\n").await;
    assert!(text.contains("event: config_refused\n"), "{text}");
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the stream ended after {text}");
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_callers_that_saw_one_revision_exactly_one_wins() {
    let api = Arc::new(api().await);
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let api = Arc::clone(&api);
            tokio::spawn(async move {
                let head = "PUT /api/v1/routes/blogs/weights HTTP/1.1\r\nHost: localhost\r\n\
                            Content-Type: application/json\r\nIf-Match: \"1\"";
                let ecs = 6 + n % 40;
                let body = json!({ "weights": { "ec2": 100 - ecs, "ecs": ecs } });
                api.raw(head, &body.to_string()).await.status
            })
        })
        .collect();
    let mut won = 0;
    for call in calls {
        match call.await.unwrap() {
            200 => won += 1,
            412 => {}
            other => panic!("unexpected status {other}"),
        }
    }
    assert_eq!(won, 1);
}
