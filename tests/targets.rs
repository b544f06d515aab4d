//! Targets that come and go by API and by command, while requests are on their way.

use std::net::SocketAddr;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Client, Counts, File, Kanaria, Load, Outcome, Stub, command, get, sized, strays, until, volley,
};

const EC2: &str = "/api/v1/pools/ec2/targets";

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

fn text(address: SocketAddr) -> String {
    address.to_string()
}

impl Kanaria {
    #[track_caller]
    fn register(&self, path: &str, address: SocketAddr) -> Value {
        self.admin.post(path, &json!({ "targets": [address] }))
    }

    #[track_caller]
    fn deregister(&self, path: &str, address: SocketAddr) -> Value {
        let answer = self
            .admin
            .call("DELETE", &format!("{path}/{address}"), "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("the admin API answers JSON")
    }

    /// The target as the list has it.
    fn target(&self, path: &str, address: SocketAddr) -> Option<Value> {
        let list = self.admin.get(path);
        let mut list = list.as_array().expect("a list").iter();
        list.find(|target| target["address"] == text(address))
            .cloned()
    }

    /// Its state in the list; nothing when it is not there.
    fn state(&self, path: &str, address: SocketAddr) -> String {
        let target = self.target(path, address).unwrap_or_default();
        target["state"].as_str().unwrap_or_default().to_owned()
    }
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    for part in parts {
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains(part), "`{part}` is not in {outcome:?}");
    }
}

#[test]
fn no_request_after_the_answer_meets_a_deregistered_target() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2).pool("ec2", &[ec2.address, other.address]));
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    load.pass(100);
    let mut out = Vec::new();
    for _ in 0..sized(10, 50) {
        kanaria.deregister(EC2, other.address);
        let from = Instant::now();
        load.pass(sized(30, 100));
        out.push(from..Instant::now());
        kanaria.register(EC2, other.address);
        load.pass(sized(30, 100));
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    let late = strays(&shots, &other, &out);
    let counts: Counts = shots.iter().map(|shot| shot.stub.as_str()).collect();
    println!("{counts}; {failed} failed, {late} late, bounds 0");
    assert_eq!((failed, late), (0, 0));
    assert!(counts.of("ecs") > 100, "it came back each time: {counts}");
}

#[test]
fn an_answered_registration_survives_kill_9_and_takes_requests_at_once() {
    let (ec2, other) = pair();
    let file = File::single(&ec2);
    let mut folder = tempfile::tempdir().unwrap();
    for round in 0..sized(4, 40) {
        let kanaria = Kanaria::start_in(folder, &file);
        let known = kanaria.target(EC2, other.address);
        assert_eq!(known.is_some(), round % 2 == 1, "round {round}");
        if round % 2 == 0 {
            kanaria.register(EC2, other.address);
        } else {
            assert_eq!(known.unwrap()["source"], "registered");
            let answers = volley(kanaria.public, 20, 2, |_| get("/", ""));
            let hits = answers.iter().filter(|answer| answer.stub() == "ecs");
            assert_eq!(hits.count(), 10);
            kanaria.deregister(EC2, other.address);
        }
        folder = kanaria.kill();
    }
    let arguments = ["history", "verify", "--state-dir", "state"];
    says(&command(folder.path(), &arguments), 0, &[]);
}

#[test]
fn a_target_of_the_file_stays_out_over_a_restart_and_a_reload() {
    let (ec2, other) = pair();
    let file = File::single(&ec2).pool("ec2", &[ec2.address, other.address]);
    let kanaria = Kanaria::start(&file);
    kanaria.deregister(EC2, other.address);
    let kanaria = Kanaria::start_in(kanaria.kill(), &file);
    let stays_out = |kanaria: &Kanaria| {
        let before = other.count();
        volley(kanaria.public, 50, 2, |_| get("/", ""));
        assert_eq!(other.count(), before);
        let target = kanaria.target(EC2, other.address).expect("it is shown");
        assert_eq!(
            target["state"], "unused",
            "nothing is left to drain: {target}"
        );
        assert_eq!(target["reason"], "Target.NotRegistered");
        assert_eq!(target["source"], "file");
        assert_eq!(target["change"]["actor"], "local");
    };
    stays_out(&kanaria);
    let told = "pool `ec2`: 0 registered and 1 deregistered targets stay so";
    assert!(kanaria.stderr().contains(told), "{}", kanaria.stderr());
    says(&kanaria.run(&["reload"]), 0, &[told]);
    kanaria.rewrite(&file.server("drain_timeout = \"7s\"").text());
    says(&kanaria.run(&["reload"]), 0, &[told]);
    stays_out(&kanaria);
    kanaria.register(EC2, other.address);
    assert_eq!(kanaria.state(EC2, other.address), "healthy");
    let status = kanaria.admin.get("/api/v1/status");
    assert_eq!(
        status["pools"][0]["registered"], 0,
        "nothing is left behind"
    );
    assert_eq!(status["pools"][0]["deregistered"], 0);
}

/// A stub whose answer to `/slow` waits, with a way to let it go and a way to hear that one arrived.
fn slow(name: &'static str) -> (Stub, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (arrived, news) = mpsc::channel();
    let gate = Mutex::new(gate);
    let stub = Stub::with(name, move |exchange| {
        if exchange.path() == "/slow" {
            // A test that failed has nobody who listens.
            let _ = arrived.send(());
            let _ = gate.lock().unwrap().recv_timeout(crate::support::DEADLINE);
        }
        exchange.plain()
    });
    (stub, go, news)
}

#[test]
fn a_request_in_flight_finishes_while_its_target_drains_and_then_the_target_is_gone() {
    let ec2 = Stub::start("ec2");
    let (other, go, news) = slow("ecs");
    let file = File::single(&ec2).pool_keys("ec2", "deregistration_delay = \"2s\"");
    let kanaria = Kanaria::start(&file);
    kanaria.register(EC2, other.address);
    let public = kanaria.public;
    let ask = move || {
        Client::connect(public)
            .call(get("/slow", ""))
            .stub()
            .to_owned()
    };
    // Round robin: one of the two meets the slow one.
    let asked: Vec<_> = (0..2).map(|_| thread::spawn(ask)).collect();
    news.recv_timeout(crate::support::DEADLINE).unwrap();
    let answer = kanaria.deregister(EC2, other.address);
    assert!(
        answer["note"].as_str().unwrap().contains("within 2s"),
        "{answer}"
    );
    let target = kanaria.target(EC2, other.address).expect("it drains");
    assert_eq!(target["state"], "draining", "{target}");
    assert_eq!(target["reason"], "Target.DeregistrationInProgress");
    assert_eq!(target["in_flight"], 1);
    assert_eq!(target["source"], Value::Null);
    let again = kanaria.deregister(EC2, other.address);
    assert_eq!(again["revision"], answer["revision"]);
    let answers = volley(kanaria.public, 50, 2, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.stub() == "ec2"));
    go.send(()).unwrap();
    let mut stubs: Vec<_> = asked.into_iter().map(|it| it.join().unwrap()).collect();
    stubs.sort();
    assert_eq!(stubs, ["ec2", "ecs"]);
    until("it is gone from the list", || {
        kanaria.target(EC2, other.address).is_none().then_some(())
    });
    let gone = kanaria
        .admin
        .call("DELETE", &format!("{EC2}/{}", other.address), "", "");
    assert_eq!(gone.status, 404, "{}", gone.text());
}

#[test]
fn a_registered_target_takes_requests_after_its_first_good_check() {
    let (ec2, other) = pair();
    let keys = "slow_start = \"1s\"\n[pools.ec2.health_check]\npath = \"/healthz\"\ninterval = \"100ms\"\ntimeout = \"1s\"";
    let kanaria = Kanaria::start(&File::single(&ec2).pool_keys("ec2", keys));
    until("the first is healthy", || {
        (kanaria.state(EC2, ec2.address) == "healthy").then_some(())
    });
    other.set_healthy(false);
    let answer = kanaria.register(EC2, other.address);
    assert_eq!(
        answer["note"],
        "a new target takes requests after its first good health check"
    );
    until("it was checked", || (other.checks() > 2).then_some(()));
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    assert_eq!(other.count(), 0);
    let target = kanaria.target(EC2, other.address).unwrap();
    assert_ne!(target["state"], "healthy");
    assert_ne!(target["reason"], Value::Null);
    other.set_healthy(true);
    until("it is healthy", || {
        (kanaria.state(EC2, other.address) == "healthy").then_some(())
    });
    until("it takes requests", || {
        volley(kanaria.public, 20, 2, |_| get("/", ""));
        (other.count() > 0).then_some(())
    });
}

#[test]
fn weights_of_registered_targets_are_kept_exactly() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let body = json!({ "address": other.address, "weight": 3 });
    kanaria.admin.post(EC2, &body);
    let share = || {
        let answers = volley(kanaria.public, 400, 1, |_| get("/", ""));
        answers
            .iter()
            .filter(|answer| answer.stub() == "ecs")
            .count()
    };
    assert_eq!(share(), 300);
    let again = kanaria.admin.post(EC2, &body);
    assert!(
        again["note"].as_str().unwrap().contains("already"),
        "{again}"
    );
    kanaria
        .admin
        .post(EC2, &json!({ "address": other.address, "weight": 1 }));
    assert_eq!(share(), 200);
}

#[test]
fn the_last_target_goes_only_by_force_and_comes_back() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let (address, revision) = (text(ecs.address), kanaria.admin.revision());
    let refused = kanaria.run(&["targets", "deregister", "ecs", &address]);
    says(&refused, 1, &["would have no target left", "force"]);
    assert_eq!(kanaria.admin.revision(), revision);
    let forced = kanaria.run(&["targets", "deregister", "ecs", &address, "--force"]);
    says(&forced, 0, &["warning: pool `ecs` has no target"]);
    let answers = volley(kanaria.public, 100, 2, |_| get("/", ""));
    assert!(
        answers.iter().all(|answer| answer.stub() == "ec2"),
        "stable serves it"
    );
    says(
        &kanaria.run(&["targets", "register", "ecs", &address]),
        0,
        &[],
    );
    volley(kanaria.public, 100, 2, |_| get("/", ""));
    assert!(ecs.count() > 0);
}

#[test]
fn api_and_command_agree_and_history_tells_who_and_why() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let address = text(other.address);
    let set = [
        "targets", "register", "ec2", &address, "--weight", "2", "--reason", "green",
    ];
    let dry = kanaria.run(&[&set[..], &["--dry-run"]].concat());
    says(&dry, 0, &["dry run, nothing is changed"]);
    let stale = kanaria.run(&[&set[..], &["--if-revision", "999"]].concat());
    says(&stale, 1, &["kanaria status"]);
    assert!(kanaria.target(EC2, other.address).is_none());
    let parts = [
        "registered at pool ec2",
        &address,
        "in force after",
        "written down",
    ];
    says(&kanaria.run(&set), 0, &parts);
    says(&kanaria.run(&set), 0, &["nothing to do"]);
    assert_eq!(
        kanaria.run_json(&["targets", "list", "ec2"]),
        kanaria.admin.get(EC2)
    );
    let one = kanaria.admin.get(&format!("{EC2}/{address}"));
    assert_eq!(kanaria.run_json(&["targets", "list", "ec2", &address]), one);
    assert_eq!(one["change"]["reason"], "green");
    let list = kanaria.run(&["targets", "list", "ec2"]);
    says(
        &list,
        0,
        &[
            &address,
            "healthy",
            "registered",
            "green",
            "2 of 2 targets take requests",
        ],
    );
    let out = kanaria.run(&[
        "targets",
        "deregister",
        "ec2",
        &address,
        "--reason",
        "bad disk",
    ]);
    says(
        &out,
        0,
        &[
            "may finish within 30s",
            "as before: kanaria targets register",
        ],
    );
    says(
        &kanaria.run(&["targets", "list", "ec2"]),
        0,
        &["draining", "Target.DeregistrationInProgress"],
    );
    let history = kanaria.run(&["history"]);
    let came = format!("ec2: +{address} weight 2");
    let went = format!("ec2: -{address}");
    says(
        &history,
        0,
        &[&came, &went, "green", "bad disk", "register", "local"],
    );
    let journal = kanaria.admin.get("/api/v1/history?limit=1");
    assert_eq!(journal[0]["kind"], "deregister");
    assert_eq!(journal[0]["targets"]["ec2"][&address]["after"], Value::Null);
}

#[test]
fn bad_commands_name_what_is_wrong_and_change_nothing() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let (known, unknown) = (text(ec2.address), text(other.address));
    let revision = kanaria.admin.revision();
    let cases: [(&[&str], i32, &str); 12] = [
        (
            &["list", "esc"],
            1,
            "pool `esc` does not exist; pools are ec2",
        ),
        (&["list", "ec2", &unknown], 1, "has no target"),
        (&["list"], 64, "<POOL>"),
        (
            &["register", "esc", &unknown],
            1,
            "pool `esc` does not exist",
        ),
        (&["register", "ec2"], 64, "<ADDR>"),
        (
            &["register", "ec2", "web.internal:80"],
            64,
            "is a host name",
        ),
        (&["register", "ec2", "127.0.0.1:0"], 64, "port 0"),
        (
            &["register", "ec2", &unknown, &unknown],
            1,
            "is given twice",
        ),
        (
            &["register", "ec2", &unknown, "--weight", "0"],
            64,
            "1..=1000",
        ),
        (&["deregister", "ec2", &unknown], 1, "has no target"),
        (&["deregister", "ec2", &known, &unknown], 1, "has no target"),
        (&["deregister", "ec2", &known], 1, "no target left"),
    ];
    for (arguments, code, part) in cases {
        let outcome = kanaria.run(&[&["targets"], arguments].concat());
        says(&outcome, code, &[part]);
    }
    assert_eq!(kanaria.admin.revision(), revision);
    assert_eq!(kanaria.admin.get(EC2).as_array().unwrap().len(), 1);
}

#[test]
fn with_one_router_dead_the_other_registers_and_the_code_is_75() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let admins = format!("http://127.0.0.1:1,http://{}", kanaria.admin.address);
    let arguments = [
        "targets",
        "register",
        "ec2",
        &text(other.address),
        "--admin",
        &admins,
    ];
    let outcome = command(&kanaria.path(""), &arguments);
    says(&outcome, 75, &["127.0.0.1:1", "registered at pool ec2"]);
    assert_eq!(kanaria.state(EC2, other.address), "healthy");
}

#[test]
fn a_reload_under_load_with_edits_loses_nothing() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.register(EC2, other.address);
    let load = Load::start(kanaria.public, 4, 200);
    for n in 0..10 {
        let file = File::single(&ec2).server(&format!("drain_timeout = \"{}s\"", 5 + n));
        kanaria.rewrite(&file.text());
        kanaria.signal(Signal::HUP);
        load.pass(20);
    }
    until("every reload is done", || {
        let history = kanaria.admin.get("/api/v1/history").to_string();
        history.contains("SIGHUP").then_some(())
    });
    assert!(load.stop().iter().all(|shot| shot.status == 200));
    let before = other.count();
    volley(kanaria.public, 20, 1, |_| get("/", ""));
    assert_eq!(other.count() - before, 10);
}

#[test]
fn events_tell_that_a_target_came_and_leaves() {
    let (ec2, other) = pair();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut listener = Client::connect(kanaria.admin.address);
    let host = kanaria.admin.address;
    let ask = format!("GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    listener.wire.send(ask).unwrap();
    assert!(listener.wire.head().unwrap().unwrap().line.contains(" 200"));
    kanaria.register(EC2, other.address);
    kanaria.deregister(EC2, other.address);
    let mut told = String::new();
    let parts = [
        "\"kind\":\"register\"",
        "\"kind\":\"deregister\"",
        "\"state\":\"draining\"",
    ];
    until("all is told", || {
        told.push_str(&String::from_utf8_lossy(&listener.wire.some().unwrap()));
        parts.iter().all(|part| told.contains(part)).then_some(())
    });
    assert!(told.contains(&text(other.address)), "{told}");
}
