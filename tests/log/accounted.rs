//! Lines and counted drops are the requests that finished, in all three forms at once, whatever happens to requests and files.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use serde_json::Value;

use super::forms::{alb, check_schema, ltsv};
use crate::record::misbehave;
use crate::support::{File, Kanaria, Load, Stub, Tail, files_of, get, lines_of_all, sized};

const NAMES: [&str; 3] = ["access.json", "access.alb", "access.ltsv"];

/// What all three lines of a request say, in the words of JSON.
type Said = [String; 9];

fn logs(rotate: &str) -> String {
    let log = |name: &str, format: &str| {
        format!(
            "[[access_log]]\npath = \"{name}\"\nformat = \"{format}\"\non_full = \"block\"\nrotate = {rotate}\n"
        )
    };
    [
        log(NAMES[0], "json"),
        log(NAMES[1], "alb"),
        log(NAMES[2], "ltsv"),
    ]
    .concat()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn said(line: &Value) -> Said {
    let query = line["query"].as_str();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    [
        text(&line["time"]),
        format!(
            "{}:{}",
            text(&line["client_ip"]),
            text(&line["client_port"])
        ),
        text(&line["method"]),
        text(&line["path"]) + &query,
        text(&line["status"]),
        text(&line["bytes_in"]),
        text(&line["bytes_out"]),
        text(&line["upstream_addr"]),
        text(&line["pool"]),
    ]
}

fn said_by_alb(line: &str) -> Said {
    let fields = alb(line);
    let field = |number: usize| fields[number - 1].clone();
    let request = field(13);
    let mut words = request.split(' ');
    let method = words.next().expect("a request has a method").to_owned();
    let url = words.next().expect("a request has an address");
    let (_, behind) = url.split_once("://").expect("an address has a scheme");
    let path = behind.find('/').map_or("-", |start| &behind[start..]);
    [
        field(22),
        field(4),
        method,
        path.to_owned(),
        field(9),
        field(11),
        field(12),
        field(5),
        field(17),
    ]
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}

#[test]
fn lines_are_the_requests_that_finished_in_all_three_forms_whatever_happens() {
    let (ec2, ecs) = Stub::troubled();
    let slow = "[[routes]]\nname = \"slow\"\nmatch = { path = [\"/slow\"] }\nstable = \"ec2\"";
    // So that some files are filled, not so many that listing them is the work.
    let size = sized(64, 16 * 1024);
    let rotate = format!("{{ size = \"{size}KiB\", keep = 100000 }}");
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50")
        .before(slow)
        .server("drain_timeout = \"3s\"")
        .quiet()
        .after(&logs(&rotate));
    let mut kanaria = Kanaria::start(&file);
    let paths = NAMES.map(|name| kanaria.path(name));
    let tails = paths.each_ref().map(|path| Tail::start(path));
    let load = Load::with(kanaria.public, 6, sized(300, 4000), |id| {
        get(&format!("/?id={id}"), &format!("X-Request-Id: {id}\r\n"))
    });
    let n_bad = sized(40, 400);
    for n in 0..n_bad {
        misbehave(&kanaria, &ec2, n);
        if n == n_bad / 4 {
            std::fs::rename(&paths[0], kanaria.path("access.json.0")).unwrap();
            kanaria.signal(Signal::USR1);
        }
        if n == n_bad / 2 {
            ecs.die();
            load.pass(sized(100, 2000));
            ecs.revive();
        }
    }
    load.pass(sized(600, 1_000_000));
    let lines_before = kanaria.admin.metric("kanaria_access_log_lines_total", &[]);
    kanaria.signal(Signal::TERM);
    let status = kanaria.wait();
    let shots = load.stop();
    assert_eq!(status.code(), Some(0));
    assert!(lines_before > 0.0);

    let written = paths.each_ref().map(|path| lines_of_all(path));
    let n_files = paths.each_ref().map(|path| files_of(path).len());
    let answered = shots.iter().filter(|shot| shot.status > 0);
    let answered: BTreeSet<&str> = answered.map(|shot| &*shot.id).collect();
    println!(
        "{} requests sent, {} answered, {n_bad} bad; {:?} lines in {n_files:?} files",
        shots.len(),
        answered.len(),
        written.each_ref().map(Vec::len)
    );
    let json: Vec<Value> = written[0]
        .iter()
        .map(|line| serde_json::from_str(line).expect("a line is one JSON object"))
        .collect();
    json.iter().for_each(check_schema);
    let mut ids = BTreeMap::<&str, usize>::new();
    for line in &json {
        *ids.entry(line["request_id"].as_str().unwrap()).or_default() += 1;
    }
    assert!(ids.values().all(|n| *n == 1), "a request has two lines");
    let missing: Vec<_> = answered
        .iter()
        .filter(|id| !ids.contains_key(*id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let n_loaded = ids.keys().filter(|id| id.starts_with("load-")).count();
    assert_eq!(json.len() - n_loaded, n_bad);

    let by_json = sorted(json.iter().map(said));
    let by_ltsv = sorted(written[2].iter().map(|line| said(&ltsv(line))));
    let by_alb = sorted(written[1].iter().map(|line| said_by_alb(line)));
    assert_eq!(by_ltsv, by_json);
    assert_eq!(by_alb, by_json);
    assert!(n_files.iter().all(|n| *n > 3), "{n_files:?}");
    for (tail, written) in tails.into_iter().zip(written) {
        assert_eq!(
            sorted(tail.stop()),
            sorted(written),
            "a follower reads each line once"
        );
    }
}

#[test]
fn counted_lines_and_drops_are_the_requests_counted() {
    let ec2 = Stub::start("ec2");
    let full = "[[access_log]]\npath = \"/dev/full\"\nformat = \"alb\"\n";
    let file = File::single(&ec2).after(full);
    let kanaria = Kanaria::start(&file);
    let n = sized(500, 20_000);
    crate::support::volley(kanaria.public, n, 4, |_| get("/", ""));
    kanaria.log_of(n);
    let metric = |name: &str, parts: &[&str]| kanaria.admin.metric(name, parts) as usize;
    crate::support::until("every line is counted", || {
        let lost = metric("kanaria_access_log_dropped_total", &["/dev/full"]);
        (lost == n).then_some(())
    });
    assert_eq!(metric("kanaria_requests_total", &[]), n);
    assert_eq!(
        metric("kanaria_access_log_lines_total", &["access.json"]),
        n
    );
    assert_eq!(metric("kanaria_access_log_lines_total", &["/dev/full"]), 0);
    assert_eq!(metric("kanaria_access_log_waiting_bytes", &[]), 0);
    assert!(
        kanaria.stderr().contains("lines are lost and counted"),
        "{}",
        kanaria.stderr()
    );
}

/// The old process and the new one write to the same files for a while.
#[test]
fn a_process_that_takes_over_goes_on_in_the_same_files() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .quiet()
        .after(&logs("{ size = \"64KiB\", keep = 100000 }"));
    let mut kanaria = Kanaria::start(&file);
    let load = Load::start(kanaria.public, 6, 400);
    for _ in 0..sized(2, 10) {
        load.pass(200);
        kanaria.upgrade().wait();
    }
    load.pass(200);
    kanaria.signal(Signal::TERM);
    kanaria.wait();
    let shots = load.stop();
    let n_answered = shots.iter().filter(|shot| shot.status > 0).count();
    let n_lines = NAMES.map(|name| lines_of_all(&kanaria.path(name)).len());
    println!("{n_answered} answered, {n_lines:?} lines");
    for line in lines_of_all(&kanaria.path(NAMES[0])) {
        serde_json::from_str::<Value>(&line).expect("a line is whole");
    }
    assert!(n_lines.iter().all(|n| *n == n_lines[0] && *n >= n_answered));
}
