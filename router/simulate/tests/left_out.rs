//! What is said to be left out: nothing that a file has is ignored in silence.

use super::*;

/// What is left out of a route with these keys, but for what always is.
fn left_out(route: &Value, text: &str) -> Vec<String> {
    let report = report(
        &structure(route),
        &scenario(&format!("length = '1s'\n{text}")),
        1,
    );
    let [always, rest @ ..] = &*report.left_out else {
        panic!("nothing is said");
    };
    assert!(always.starts_with("connections, bodies, "), "{always}");
    rest.to_vec()
}

#[track_caller]
fn check(route: &Value, text: &str, begins: &[&str]) {
    let left_out = left_out(route, text);
    let is_as_expected = left_out.len() == begins.len()
        && left_out
            .iter()
            .zip(begins)
            .all(|(text, begin)| text.starts_with(begin));
    assert!(is_as_expected, "{left_out:#?}");
}

#[test]
fn what_a_route_has_and_a_simulation_has_not_is_said() {
    let step = json!([{ "percent": 10.0, "hold": "5m" }]);
    let ramp = json!({ "steps": step, "probe": "http://www.example.com/up" });
    check(&json!({ "guard": {} }), "", &[]);
    check(&json!({}), "", &["a guard, for the route has no"]);
    check(
        &json!({ "ramp": { "steps": step } }),
        "",
        &["a guard, for the route has no `[routes.guard]`: harm may hold the ramp"],
    );
    check(
        &json!({ "guard": {}, "ramp": ramp }),
        "",
        &["the ramp's `probe` has nobody to ask: it passes"],
    );
    check(
        &json!({ "guard": {}, "ramp": ramp }),
        "[[harm]]\nprobe_fails = true",
        &["the ramp's `probe` is made up"],
    );
    check(
        &json!({ "guard": {}, "cap": { "max_rps": 4 } }),
        "",
        &["routers beside this one"],
    );
    check(
        &json!({ "guard": {}, "cap": { "max_concurrent": 4 }, "fallback": ["ecs"] }),
        "",
        &[
            "routers beside this one",
            "`cap.max_concurrent`",
            "`fallback`",
        ],
    );
    check(
        &json!({ "shadow": { "pool": "ecs" }, "weights": { "ec2": 1 } }),
        "",
        &["a guard, for the route has no", "`shadow`"],
    );
}

#[test]
fn what_pools_and_the_server_bound_is_said() {
    let config = json!({
        "version": 1,
        "server": { "max_rps_per_client": 5 },
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": {
            "ec2": { "targets": ["127.0.0.1:3001"] },
            "ecs": { "targets": ["127.0.0.1:3002"], "max_requests": 8 },
        },
        "routes": [
            { "name": "web", "stable": "ec2", "weights": { "ec2": 90, "ecs": 10 }, "guard": {} },
            { "name": "other", "match": { "path": "/other" }, "stable": "ec2" },
        ],
    });
    let config: model::Config = serde_json::from_value(config).unwrap();
    let structure = Arc::new(Structure::compile(&config).unwrap());
    let left_out = report(&structure, &scenario("length = '1s'"), 1).left_out;
    assert_eq!(
        left_out[1..],
        [
            "the other routes of the file: clients ask this one only",
            "`max_requests` and `max_requests_per_target` of ecs: no pool is ever full",
            "what `[server]` lets one client have: nobody is answered 429",
        ]
    );
}
