//! The guard: harm is taken back within seconds, and nothing else is.

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{After, File, Kanaria, Load, Shot, Stub, get, sized, within};

/// An environment in which of 1000 requests so many fail.
struct Weak {
    stub: Stub,
    failing: Arc<AtomicUsize>,
}

impl Weak {
    fn start(name: &'static str) -> Self {
        let failing = Arc::new(AtomicUsize::new(0));
        let (ill, turn) = (Arc::clone(&failing), AtomicUsize::new(0));
        let stub = Stub::with(name, move |exchange| {
            // 387 has no factor in common with 1000: every number comes up once, in no order.
            let draw = turn.fetch_add(1, Ordering::Relaxed) * 387 % 1000;
            if draw < ill.load(Ordering::Relaxed) {
                exchange.answer("500 Internal Server Error", "", b"broken")
            } else {
                exchange.plain()
            }
        });
        Self { stub, failing }
    }

    fn fail(&self, per_mille: usize) {
        self.failing.store(per_mille, Ordering::Relaxed);
    }
}

fn file(ec2: &Stub, ecs: &Stub, guard: &str) -> File {
    let weights = "ec2 = 90, ecs = 10";
    File::split(ec2, ecs, weights)
        .route(&format!("[routes.guard]\n{guard}"))
        .quiet()
}

fn guard(kanaria: &Kanaria) -> Value {
    kanaria.admin.get("/api/v1/routes/web")["guard"].clone()
}

/// What the guard says once it says `state`, within `time`.
#[track_caller]
fn says(kanaria: &Kanaria, state: &str, time: Duration) -> Value {
    let found = within(time, || {
        Some(guard(kanaria)).filter(|guard| guard["state"] == state)
    });
    found.unwrap_or_else(|| panic!("not `{state}`: {:#}\n{}", guard(kanaria), kanaria.stderr()))
}

/// Waits until no canary of `web` has a weight; when that was.
#[track_caller]
fn taken_back(kanaria: &Kanaria, time: Duration) -> Instant {
    let found = within(time, || {
        let route = kanaria.admin.get("/api/v1/routes/web");
        (route["weights"]["ecs"] == 0).then(Instant::now)
    });
    found.unwrap_or_else(|| panic!("not taken back: {:#}\n{}", guard(kanaria), kanaria.stderr()))
}

fn first_failure(shots: &[Shot]) -> Instant {
    let failed = shots.iter().filter(|shot| shot.status >= 500);
    failed
        .map(|shot| shot.sent)
        .min()
        .expect("something failed")
}

#[test]
fn a_canary_that_fails_half_of_its_requests_is_taken_back_within_15_seconds() {
    let (ec2, ecs) = (Weak::start("ec2"), Weak::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2.stub, &ecs.stub, ""));
    let load = Load::start(kanaria.public, 6, 300);
    says(&kanaria, "ok", Duration::from_secs(30));
    ecs.fail(500);
    let back = taken_back(&kanaria, Duration::from_secs(40));
    let shots = load.stop();
    let took = back - first_failure(&shots);
    println!("weight 0 after {took:.1?}, bound 15 s");
    assert!(took <= Duration::from_secs(15));
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["state"], &route["actor"]),
        (&json!("rolled_back"), &json!("guard"))
    );
    assert_eq!(route["guard"]["state"], "tripped");
    let rollbacks = kanaria
        .admin
        .metric("kanaria_rollbacks_total", &["actor=\"guard\""]);
    assert_eq!(rollbacks, 1.0);
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_guard_state", &["route=\"web\""]),
        3.0
    );
    assert_eq!(kanaria.admin.metric("kanaria_guard_trips_total", &[]), 1.0);
    let raise = kanaria.run(&["weights", "web", "ec2=90", "ecs=10"]);
    assert_eq!(raise.code, Some(1), "latched: {raise:?}");
    replayed(&kanaria);
    reported(&kanaria);
}

/// The report tells what happened, as a page and as data.
#[track_caller]
fn reported(kanaria: &Kanaria) {
    let page = kanaria.run(&["report", "web"]).stdout;
    let told = kanaria.run(&["report", "web", "--json"]).stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    println!("{page}");
    assert_eq!(told["incidents"][0]["what"], "rollback");
    assert_eq!(told["incidents"][0]["actor"], "guard");
    let stage = &told["stages"][0];
    assert_eq!(stage["shares"], json!({ "ec2": 90.0, "ecs": 10.0 }));
    assert!(
        stage["seen"]["users"]["canary"].as_u64() > Some(0),
        "{told}"
    );
    assert!(page.contains("| guard | rollback |"), "{page}");
    assert!(page.contains("users of the canary failed"), "{page}");
}

/// Everything that was decided follows from what was written down.
#[track_caller]
fn replayed(kanaria: &Kanaria) {
    let outcome = kanaria.run(&["guard", "replay", "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let routes: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let web = &routes[0];
    println!("replay: {web}");
    assert_eq!((&web["route"], &web["ok"]), (&json!("web"), &json!(true)));
    assert!(
        web["verdicts"].as_u64() > Some(1) && web["trips"][0].is_string(),
        "{web}"
    );
}

#[test]
fn a_canary_that_fails_now_and_then_is_taken_back_within_3_minutes() {
    let per_mille = sized(200, 50);
    let (ec2, ecs) = (Weak::start("ec2"), Weak::start("ecs"));
    ec2.fail(1);
    let kanaria = Kanaria::start(&file(&ec2.stub, &ecs.stub, ""));
    let load = Load::start(kanaria.public, 6, 300);
    ecs.fail(per_mille);
    let begin = Instant::now();
    let took = taken_back(&kanaria, Duration::from_secs(200)) - begin;
    load.stop();
    println!(
        "{} % errors against 0.1 %: weight 0 after {took:.1?}, bound 3 min",
        per_mille / 10
    );
    assert!(took <= Duration::from_secs(180));
}

#[test]
fn an_outage_of_both_pools_takes_nothing_back() {
    let (ec2, ecs) = (Weak::start("ec2"), Weak::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2.stub, &ecs.stub, ""));
    let load = Load::start(kanaria.public, 6, 300);
    says(&kanaria, "ok", Duration::from_secs(30));
    ec2.fail(600);
    ecs.fail(600);
    let frozen = says(&kanaria, "baseline_unhealthy", Duration::from_secs(30));
    assert!(
        frozen["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("baseline unhealthy"))
    );
    // For as long as a canary that fails alone would have.
    load.pass(300 * 15);
    load.stop();
    let route = kanaria.admin.get("/api/v1/routes/web");
    println!(
        "weights {} after 15 s of an outage of both",
        route["weights"]
    );
    assert_eq!(
        (&route["weights"]["ecs"], &route["state"]),
        (&json!(10), &json!("normal"))
    );
}

#[test]
fn without_traffic_there_is_no_data() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, ""));
    let first = says(&kanaria, "no_data", Duration::from_secs(10));
    assert!(
        first["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("no data"))
    );
    let shown = kanaria.run(&["status", "web"]).stdout;
    assert!(shown.contains("guard no data: no data"), "{shown}");
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_guard_state", &["route=\"web\""]),
        0.0
    );
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web/guard")["state"],
        "no_data"
    );
}

#[test]
fn a_canary_that_is_40_percent_slower_is_found() {
    let slow = |name, millis| {
        Stub::with(name, move |exchange| {
            std::thread::sleep(Duration::from_millis(millis));
            exchange.plain()
        })
    };
    // Long enough that what a busy machine adds to both is little beside it.
    let (ec2, ecs) = (slow("ec2", 100), slow("ecs", 140));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, "on_trip = 'alert'\n"));
    let load = Load::start(kanaria.public, 48, 300);
    let begin = Instant::now();
    says(&kanaria, "tripped", Duration::from_secs(240));
    load.stop();
    let guard = guard(&kanaria);
    println!(
        "140 ms against 100 ms: {} after {:.1?}, bound 4 min",
        guard["reason"],
        begin.elapsed()
    );
    assert!(
        guard["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("latency_p"))
    );
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(route["weights"]["ecs"], 10, "it was only to be told");
}

#[test]
fn who_is_sent_to_the_canary_by_a_flag_is_not_counted() {
    let (ec2, ecs) = (Stub::start("ec2"), Weak::start("ecs"));
    let flag = "[[routes.flags]]\nname = 'staff'\nheader = 'X-Canary'\nvalue = 'on'\npool = 'ecs'\n[routes.guard]\n";
    let file = File::split(&ec2, &ecs.stub, "ec2 = 90, ecs = 10")
        .route(flag)
        .quiet();
    let kanaria = Kanaria::start(&file);
    ecs.fail(1000);
    let load = Load::with(kanaria.public, 4, 100, |_| get("/", "X-Canary: on\r\n"));
    load.pass(100 * 12);
    let shots = load.stop();
    let n_failed = shots.iter().filter(|shot| shot.status == 500).count();
    println!(
        "{n_failed} of {} flagged requests failed, weights stay",
        shots.len()
    );
    assert!(n_failed > 1000);
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["weights"]["ecs"], &route["guard"]["state"]),
        (&json!(10), &json!("no_data"))
    );
}

#[test]
fn a_dead_canary_whose_requests_stable_serves_is_taken_back_all_the_same() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, ""));
    let load = Load::start(kanaria.public, 6, 200);
    load.pass(400);
    ecs.die();
    let died = Instant::now();
    let took = taken_back(&kanaria, Duration::from_secs(40)) - died;
    let shots = load.stop();
    let n_failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "weight 0 after {took:.1?}, {n_failed} of {} requests failed",
        shots.len()
    );
    assert!(took <= Duration::from_secs(15));
}

/// Answers that refuse are harm of their own kind, found without the hard limit, which is about failures.
#[test]
fn refusals_are_told_from_failures() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| {
        exchange
            .answer("404 Not Found", "", b"gone")
            .map(|_| After::Keep)
    });
    let kanaria = Kanaria::start(&file(&ec2, &ecs, ""));
    let load = Load::start(kanaria.public, 6, 300);
    let begin = Instant::now();
    let took = taken_back(&kanaria, Duration::from_secs(90)) - begin;
    load.stop();
    let reason = guard(&kanaria)["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    println!("all of the canary's answers are 404: after {took:.1?}, bound 45 s: {reason}");
    assert!(reason.starts_with("client_errors"), "{reason}");
    assert!(took <= Duration::from_secs(45));
    let trips = |cause: &str| {
        let cause = format!("metric=\"{cause}\"");
        let metric = "kanaria_guard_trips_total";
        kanaria.admin.metric(metric, &[&cause])
    };
    assert_eq!((trips("client_errors"), trips("hard_limit")), (1.0, 0.0));
}

#[test]
fn a_canary_that_has_had_its_users_rises_no_more_until_somebody_resumes() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, "budget = { users = 50 }\n"));
    let load = Load::start(kanaria.public, 6, 300);
    let frozen = within(Duration::from_secs(40), || {
        let route = kanaria.admin.get("/api/v1/routes/web");
        (route["state"] == "frozen").then_some(route)
    });
    let shots = load.stop();
    let route = frozen.unwrap_or_else(|| panic!("not frozen: {:#}", guard(&kanaria)));
    println!(
        "{} requests, then {}",
        shots.len(),
        route["guard"]["budget"]
    );
    assert_eq!(
        (&route["actor"], &route["weights"]["ecs"]),
        (&json!("guard"), &json!(10))
    );
    let budget = &route["guard"]["budget"];
    assert_eq!(budget["reached"], "users");
    assert_eq!(budget["users"]["allowed"], 50);
    // It is counted once the freeze is in force.
    let counted = within(Duration::from_secs(10), || {
        let labels = ["metric=\"budget_users\""];
        let trips = kanaria.admin.metric("kanaria_guard_trips_total", &labels);
        (trips == 1.0).then_some(())
    });
    assert!(counted.is_some(), "{}", kanaria.admin.metrics());
    let shown = kanaria.run(&["status", "web"]).stdout;
    assert!(shown.contains(" of 50 users"), "{shown}");
    let raised = kanaria.run(&["weights", "web", "ec2=80", "ecs=20"]);
    assert_eq!(raised.code, Some(1), "{raised:?}");
    assert_eq!(kanaria.run(&["resume", "web"]).code, Some(0));
    says_attempt(&kanaria, 2);
}

/// Waits until the guard counts this attempt.
#[track_caller]
fn says_attempt(kanaria: &Kanaria, attempt: u32) {
    let found = within(Duration::from_secs(10), || {
        (guard(kanaria)["attempt"] == attempt).then_some(())
    });
    assert!(found.is_some(), "{:#}", guard(kanaria));
}
