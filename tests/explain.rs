//! Decisions made once more from the log, each by the real command: what is explained is what was logged.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::support::{File, Kanaria, Stub, files_of, sized, until, volley};

/// Routes by host and path beside `web`, so that a line says more than one thing.
const ROUTES: &str = "[[routes]]\nname = \"shop\"\nmatch = { host = [\"shop.example.com\"] }\nstable = \"ec2\"\n\
    weights = { ec2 = 95, ecs = 5 }\n\
    [[routes]]\nname = \"files\"\nmatch = { path = [\"/files/*\"] }\nstable = \"ecs\"\n\
    [[routes]]\nname = \"old\"\nmatch = { host = [\"old.example.com\"] }\nredirect = { host = \"www.example.com\" }\n";
/// Files of the log are small, so that to find a line is to read few of them.
const LOG: &str = "[[access_log]]\npath = \"a.json\"\nrotate = { size = \"64KiB\", keep = 1000 }\non_full = \"block\"\n";
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// One request of a random client, or of one without a cookie, for a random place.
fn message(random: &mut StdRng) -> String {
    let hosts = ["www.example.com", "shop.example.com", "old.example.com"];
    let host = hosts.choose(random).expect("there are some");
    let paths = ["/", "/a?b=c", "/files/x", "/files", "/%E3%81%82", "/a//b"];
    let path = paths.choose(random).expect("there are some");
    let method = ["GET", "DELETE"].choose(random).expect("there are some");
    let mut id = |letters: &[u8], n: usize| -> String {
        (0..n)
            .map(|_| char::from(*letters.choose(random).expect("there are some")))
            .collect()
    };
    // The last letter has two bits of the 128.
    let id = id(ALPHABET, 21) + &id(b"AQgw", 1);
    let cookie = match random.random_range(0..4) {
        0 => String::new(),
        1 => "Cookie: kanaria=broken\r\n".into(),
        _ => format!("Cookie: other=1; kanaria={id}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n")
}

/// Each line is found by its id, and its request decided anew by the revision that the journal has for it.
#[test]
fn what_is_explained_from_a_line_is_what_was_decided() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let kanaria = Kanaria::start(&file.quiet().before(ROUTES).after(LOG));
    let (n_revisions, n_each) = (sized(10, 50), sized(20, 200));
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..n_revisions {
        let route = ["web", "shop"].choose(&mut random).expect("there are some");
        let share = random.random_range(0..=100);
        kanaria
            .admin
            .set(route, &[("ec2", 100 - share), ("ecs", share)]);
        let messages: Vec<_> = (0..n_each).map(|_| message(&mut random)).collect();
        volley(kanaria.public, n_each, 4, |n| messages[n].clone());
    }
    let n = n_revisions * n_each;
    until("all lines are written", || {
        let lines = kanaria.admin.metric("kanaria_access_log_lines_total", &[]);
        (lines == n as f64).then_some(())
    });
    let began = Instant::now();
    let (n_same, n_pools) = explained(&kanaria, n);
    println!(
        "{n} lines of {n_revisions} revisions, {n_pools} of them for a pool, each explained by a command of its own in \
         {:.0} s together: {n_same} are the same; bound: all",
        began.elapsed().as_secs_f64()
    );
    assert_eq!(n_same, n);
    assert!(n_pools > n / 2);
}

/// Explains every line of the log; of how many the decision is the same, and how many went to a pool.
fn explained(kanaria: &Kanaria, n: usize) -> (usize, usize) {
    let mut lines = Vec::new();
    for path in files_of(&kanaria.path("a.json")) {
        let text = std::fs::read_to_string(&path).expect("a log is UTF-8");
        let path = path.to_str().expect("so is its name").to_owned();
        lines.extend(text.lines().map(|line| (path.clone(), line.to_owned())));
    }
    assert_eq!(lines.len(), n);
    let (next, n_same, n_pools) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((path, line)) = lines.get(next.fetch_add(1, Relaxed)) {
                    let line: Value = serde_json::from_str(line).expect("a line is JSON");
                    n_pools.fetch_add(usize::from(!line["pool"].is_null()), Relaxed);
                    n_same.fetch_add(usize::from(is_same(kanaria, path, &line)), Relaxed);
                }
            });
        }
    });
    (n_same.into_inner(), n_pools.into_inner())
}

fn is_same(kanaria: &Kanaria, path: &str, line: &Value) -> bool {
    let id = line["request_id"].as_str().expect("each line has one");
    let again = kanaria.run_json(&["explain", "--request-id", id, "--log", path]);
    let decided = ["route", "partition", "pool", "reason"];
    let bucket = &again["decision"]["bucket"];
    // A route with one pool places nobody, whatever place the client has elsewhere.
    let is_same_place = *bucket == line["bucket"] || (bucket.is_null() && line["route"] == "files");
    let is_same = again["agrees"] == true
        && again["logged"]["revision"] == line["revision"]
        && is_same_place
        && decided
            .iter()
            .all(|key| again["decision"][*key] == line[*key]);
    if !is_same {
        println!("{line}\n{again}");
    }
    is_same
}
