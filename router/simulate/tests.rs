//! The simulation against itself: the same seed, the same run; who asks what; and what the file's rules make of it.

mod bounds;
mod left_out;
mod operating;
mod schedule;

use config::load::Text;
use config::model;
use config::scenario::read;
use serde_json::{Value, json};

use super::*;

/// A file with one route `web` of stable `ec2`, and the keys of `route`.
fn structure(route: &Value) -> Arc<Structure> {
    let mut web = json!({ "name": "web", "stable": "ec2", "weights": { "ec2": 90, "ecs": 10 } });
    for (key, value) in route.as_object().into_iter().flatten() {
        web[key] = value.clone();
    }
    compiled(&json!([web]))
}

fn compiled(routes: &Value) -> Arc<Structure> {
    let config = json!({
        "version": 1,
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": { "ec2": { "targets": ["127.0.0.1:3001"] }, "ecs": { "targets": ["127.0.0.1:3002", "127.0.0.1:3003"] } },
        "partitions": { "hosts": { "*.blogs.example": "blogs" } },
        "routes": routes,
    });
    let config: model::Config = serde_json::from_value(config).unwrap();
    Arc::new(Structure::compile(&config).unwrap())
}

#[track_caller]
fn scenario(text: &str) -> Scenario {
    let text = Text {
        name: "test.toml".into(),
        text: text.into(),
    };
    let written = read(text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    written.scenario
}

fn setup<'a>(structure: &Arc<Structure>, scenario: &'a Scenario, seed: u64) -> Setup<'a> {
    let web = structure.route_named("web").expect("a route `web`");
    Setup {
        structure: Arc::clone(structure),
        secret: Secret::new([7; 32]),
        route: web.id,
        scenario,
        seed,
    }
}

fn report(structure: &Arc<Structure>, scenario: &Scenario, seed: u64) -> Report {
    simulate(&setup(structure, scenario, seed), &mut |_| (), &mut |_| ()).unwrap()
}

/// `short`, or `full` in the long form.
fn sized(short: u64, full: u64) -> u64 {
    if std::env::var_os("KANARIA_LONG").is_some() {
        full
    } else {
        short
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let structure = structure(&json!({ "guard": {} }));
    let scenario = scenario("length = '20m'");
    let requests = |seed| {
        let mut seen = Vec::new();
        let setup = setup(&structure, &scenario, seed);
        let report = simulate(&setup, &mut |_| (), &mut |it| {
            seen.push((it.time, it.client, it.id, it.pool.to_owned(), it.status));
        });
        (report.unwrap(), seen)
    };
    let (first, other) = (requests(1), requests(2));
    assert_eq!(first, requests(1));
    assert_ne!(first.1, other.1);
    assert!(first.1.len() > 10_000, "{}", first.1.len());
}

#[test]
fn clients_come_and_go_some_keep_no_cookie_and_load_follows_the_day() {
    let structure = structure(&json!({}));
    let scenario = scenario(
        "length = '4h'\n[clients]\ncount = 2000\nstay = '1h'\ncookieless = 0.2\n[traffic]\nrps = 5\nswing = 0.9\npeak = 3",
    );
    let (mut cookieless, mut by_hour) = (0u32, [0u32; 4]);
    let setup = setup(&structure, &scenario, 1);
    let report = simulate(&setup, &mut |_| (), &mut |seen| {
        cookieless += u32::from(seen.client == u64::MAX);
        by_hour[(seen.time % 86_400 / 3_600) as usize] += 1;
    });
    let summary = report.unwrap().summary;
    let part = f64::from(cookieless) / summary.requests as f64;
    println!(
        "{} requests, {part:.3} without a cookie, 0.2 asked; by hour {by_hour:?}; {} clients",
        summary.requests, summary.users
    );
    assert!((part - 0.2).abs() < 0.01);
    assert!(by_hour[0] < by_hour[1] && by_hour[1] < by_hour[2]);
    // 2,000 at the begin, and as many again each hour, of whom the quiet ones are not seen.
    assert!((2_000..10_000).contains(&summary.users));
}

#[test]
fn users_stay_where_they_are_and_shares_are_what_was_asked() {
    let structure = structure(&json!({}));
    let scenario = scenario("length = '2h'\n[traffic]\nrps = 20");
    let report = report(&structure, &scenario, 1);
    let row = &report.rows[0];
    println!(
        "asked {}, users {:?}, requests {:?}",
        row.asked, row.users, row.requests
    );
    assert!(row.users.is_some_and(|users| (users - 0.1).abs() < 0.005));
    assert!(
        row.requests
            .is_some_and(|requests| (requests - 0.1).abs() < 0.03)
    );
    let summary = &report.summary;
    assert_eq!((summary.moved_to_canary, summary.moved_back), (0, 0));
    assert_eq!(summary.outcome, Outcome::Unchanged);
}

#[test]
fn whoever_is_flagged_is_neither_counted_nor_judged() {
    let flag = json!({ "name": "staff", "cookie": "staff", "value": "yes", "pool": "ecs" });
    let structure = structure(&json!({ "guard": {}, "flags": [flag] }));
    let harm = "[[harm]]\nerrors = 1.0\n";
    let scenario = |flagged: f64| {
        scenario(&format!(
            "length = '10m'\n[clients]\nflagged = {flagged}\ncookieless = 0\n[traffic]\nrps = 40\n{harm}"
        ))
    };
    let everybody = report(&structure, &scenario(1.0), 1).summary;
    assert_eq!((everybody.requests, everybody.rollbacks), (0, 0));
    let nobody = report(&structure, &scenario(0.0), 1).summary;
    assert_eq!(nobody.rollbacks, 1);
}

#[test]
fn a_canary_that_is_down_is_served_by_stable_and_charged_all_the_same() {
    for failover in ["stable", "none"] {
        let structure = structure(&json!({ "guard": {}, "failover": failover }));
        let scenario =
            scenario("length = '30m'\n[traffic]\nrps = 40\n[[harm]]\nfrom = '5m'\ndown = true");
        let summary = report(&structure, &scenario, 1).summary;
        println!("failover {failover}: {summary:?}");
        assert_eq!(summary.rollbacks, 1);
        assert_eq!(summary.extra_errors == 0, failover == "stable");
        assert!(summary.reaction_s.is_some_and(|seconds| seconds <= 20));
    }
}

#[test]
fn a_budget_that_the_traffic_spends_freezes_the_route() {
    let guard = json!({ "on_trip": "alert", "budget": { "users": 500 } });
    let structure = structure(&json!({ "guard": guard }));
    let scenario = scenario("length = '1h'\n[traffic]\nrps = 20");
    let summary = report(&structure, &scenario, 1).summary;
    println!("{summary:?}");
    assert_eq!((summary.outcome, summary.rollbacks), (Outcome::Frozen, 0));
    assert!(
        summary.trips[0].starts_with("budget: 50"),
        "{:?}",
        summary.trips
    );
    assert_eq!(summary.trips.len(), 1);
}

/// Where the request that was made for `web`, beside a route for pictures, goes; or what is said of it.
fn made(matches: &Value, request: &str) -> Result<(String, String, String), String> {
    let structure = compiled(&json!([
        { "name": "pictures", "match": { "path": "*.png" }, "stable": "ec2" },
        { "name": "web", "match": matches, "stable": "ec2", "weights": { "ec2": 1, "ecs": 1 } },
    ]));
    let scenario = scenario(request);
    let mut none = |_: &Seen<'_>| ();
    match Run::new(&setup(&structure, &scenario, 1), &mut none) {
        Ok(run) => Ok((run.asked.method, run.asked.host, run.asked.path)),
        Err(fault) => Err(format!("{}: {}", fault.path, fault.message)),
    }
}

#[test]
fn requests_are_made_of_the_match_of_a_route() {
    let own = |method: &str, host: &str, path: &str| Ok((method.into(), host.into(), path.into()));
    assert_eq!(made(&json!({}), ""), own("GET", "www.example.com", "/"));
    assert_eq!(
        made(
            &json!({ "partition": "blogs", "method": ["POST", "PUT"], "path": "/v1/*" }),
            ""
        ),
        own("POST", "www.blogs.example", "/v1/x")
    );
    assert_eq!(
        made(
            &json!({ "host": ["*.example.org"], "header": { "x-kind": "a?" } }),
            ""
        ),
        own("GET", "x.example.org", "/")
    );
    let regex = json!({ "path": { "regex": "^/v[12]/" } });
    let refused = made(&regex, "").unwrap_err();
    assert!(
        refused.starts_with("request: no route takes `GET www.example.com/`"),
        "{refused}"
    );
    assert_eq!(
        made(&regex, "request.path = '/v2/a'"),
        own("GET", "www.example.com", "/v2/a")
    );
    let other = made(&json!({}), "request.path = '/a.png'").unwrap_err();
    assert!(
        other.starts_with("request: route `pictures` takes"),
        "{other}"
    );
}

#[test]
fn what_the_file_does_not_have_is_refused_with_its_key() {
    let refused = |text: &str| {
        let structure = structure(&json!({}));
        let scenario = scenario(text);
        let report = simulate(&setup(&structure, &scenario, 1), &mut |_| (), &mut |_| ());
        let fault = report.expect_err("refused");
        format!("{}: {}", fault.path, fault.message)
    };
    assert_eq!(
        refused("[[harm]]\npool = 'esc'\ndown = true"),
        "harm[0].pool: route `web` has no pool `esc`; write `canary`, `stable`, `all` or one of ec2, ecs"
    );
    assert_eq!(
        refused("clients.flagged = 0.1"),
        "clients.flagged: route `web` has no flag with a plain value in a cookie"
    );
    assert_eq!(
        refused("[[harm]]\nerrors = 0.5\n[[harm]]\nprobe_fails = true"),
        "harm[1].probe_fails: route `web` has no ramp with a probe"
    );
}
