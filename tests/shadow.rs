//! Shadow pools: what is copied when, to whom, and how one is switched off.

mod record;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::http2::Target;
use crate::support::{After, File, Kanaria, Stub, get, request, until};

const TABLE: &str = "[routes.shadow]\npool = \"ecs\"\npercent = 100\n";

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

/// How many copies met `fate`, once any met it `n` times.
#[track_caller]
fn met(kanaria: &Kanaria, fate: &str, n: usize) {
    let label = format!("result=\"{fate}\"");
    let count = || kanaria.admin.metric("kanaria_shadow_total", &[&label]) as usize;
    until(&format!("{n} copies are {fate}"), || {
        (count() >= n).then_some(())
    });
    assert_eq!(count(), n, "{fate}");
}

#[test]
fn three_lines_copy_and_a_reload_switches_it_off_within_one_request() {
    let (ec2, ecs) = pair();
    let plain = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0");
    let on = plain.clone().route(TABLE);
    let kanaria = Kanaria::start(&plain);
    let mut client = kanaria.client();
    client.call(get("/before", ""));
    for round in 1..=3 {
        kanaria.rewrite(&on.text());
        assert_eq!(kanaria.run(&["reload"]).code, Some(0));
        client.call(get("/on", ""));
        met(&kanaria, "answered", round);
        kanaria.rewrite(&plain.text());
        assert_eq!(kanaria.run(&["reload"]).code, Some(0));
        client.call(get("/off", ""));
    }
    let log = kanaria.log_of(7);
    let copied: Vec<_> = log.iter().map(|line| line["shadow"].as_bool()).collect();
    assert_eq!(
        copied,
        [None, Some(true), None, Some(true), None, Some(true), None]
    );
    let seen = ecs.seen();
    assert!(seen.iter().all(|seen| seen.head.line == "GET /on HTTP/1.1"));
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_share_of_clients_is_copied_and_always_the_same_ones() {
    let (ec2, ecs) = pair();
    let table = "[routes.shadow]\npool = \"ecs\"\npercent = 30\n";
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(table));
    let mut client = kanaria.client();
    for n in 0..60 {
        let cookie = format!("Cookie: kanaria={n:0>22}\r\n");
        for _ in 0..2 {
            client.call(get("/", &cookie));
        }
    }
    let log = kanaria.log_of(120);
    for line in &log {
        let bucket = line["bucket"].as_u64().unwrap();
        assert_eq!(line["shadow"], bucket >= 7000, "{line}");
    }
    let copied = log.iter().filter(|line| line["shadow"] == true).count();
    assert!((10..110).contains(&copied), "{copied}");
    met(&kanaria, "answered", copied);
}

#[test]
fn copies_come_after_requests_on_a_core() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(TABLE));
    let tasks = fs::read_dir(format!("/proc/{}/task", kanaria.id())).unwrap();
    // A thread may have ended since it was listed.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let threads: Vec<_> = stats.map(|stat| nice(&stat)).collect();
    let of = |name: &str| {
        let own = threads.iter().filter(|(own, _)| own.starts_with(name));
        own.map(|(_, nice)| *nice).collect::<Vec<_>>()
    };
    let usual = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(of("kanaria-shadow"), [(usual + 10).min(19)]);
    for name in ["kanaria-edge", "kanaria-contro"] {
        let others = of(name);
        assert!(!others.is_empty(), "{threads:?}");
        assert!(others.iter().all(|nice| *nice == usual), "{threads:?}");
    }
}

/// The name of a thread and its niceness (proc(5)).
fn nice(stat: &str) -> (String, i32) {
    let (name, fields) = stat.rsplit_once(") ").unwrap();
    let nice = fields.split(' ').nth(16).unwrap();
    let (_, name) = name.split_once('(').unwrap();
    (name.to_owned(), nice.parse().unwrap())
}

#[test]
fn bodies_are_copied_up_to_a_bound() {
    let (ec2, ecs) = pair();
    let keys = "methods = [\"GET\", \"PUT\"]\nunsafe_methods = true\nmax_body = \"4KiB\"\nhost = \"shadow.test\"\n";
    let kanaria = Kanaria::start(
        &File::single(&ec2)
            .pool("ecs", &[ecs.address])
            .route(&format!("{TABLE}{keys}")),
    );
    let mut client = kanaria.client();
    let whole = "x".repeat(4096);
    client.call(request("PUT", "/whole", "", &whole));
    met(&kanaria, "answered", 1);
    let seen = ecs.last();
    assert_eq!(seen.body, whole.as_bytes());
    assert_eq!(seen.head.get("host"), Some("shadow.test"));
    let chunked = "PUT /chunked HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    client.call(chunked);
    met(&kanaria, "answered", 2);
    assert_eq!(ecs.last().body, b"abcde");
    assert_eq!(ecs.last().head.get("content-length"), Some("5"));
    let answer = client.call(request("PUT", "/more", "", &"x".repeat(4097)));
    assert_eq!(answer.status, 200);
    client.call(request("PUT", "/none", "", ""));
    met(&kanaria, "answered", 3);
    met(&kanaria, "dropped_body", 1);
    assert_eq!(ecs.last().head.line, "PUT /none HTTP/1.1");
    assert_eq!(ec2.count(), 4);
}

#[test]
fn what_the_shadow_pool_serves_itself_is_not_copied() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").route(TABLE));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ecs");
    met(&kanaria, "dropped_same_pool", 1);
    assert_eq!(kanaria.log_of(1)[0]["shadow"], false);
    kanaria.admin.set_web(1, 0);
    kanaria.client().call(get("/", ""));
    met(&kanaria, "answered", 1);
    assert_eq!(ecs.count(), 2);
}

#[test]
fn what_the_shadow_pool_did_not_have_is_not_copied_to_it_once_more() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| exchange.answer("404 Not Found", "", b""));
    let keys = format!("fallback = [\"ec2\"]\n{TABLE}");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").route(&keys));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    met(&kanaria, "dropped_same_pool", 1);
    assert_eq!(kanaria.log_of(1)[0]["shadow"], false);
    assert_eq!(kanaria.admin.metric("kanaria_shadow_total", &[]), 1.0);
    assert_eq!(ecs.count(), 1);
}

#[test]
fn a_websocket_is_not_copied_and_a_sick_shadow_pool_is_left_alone() {
    let (ec2, ecs) = pair();
    let file = File::single(&ec2).pool("ecs", &[ecs.address]).route(TABLE);
    let check =
        "[pools.ecs.health_check]\npath = \"/healthz\"\ninterval = \"50ms\"\ntimeout = \"50ms\"\n";
    ecs.set_healthy(false);
    let kanaria = Kanaria::start(&file.pool_keys("ecs", check));
    until("the shadow pool is known to be sick", || {
        let targets = kanaria.admin.get("/api/v1/pools/ecs/targets");
        (targets[0]["state"] == "unhealthy").then_some(())
    });
    let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(kanaria.client().call(get("/socket", fields)).status, 200);
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    met(&kanaria, "dropped_no_target", 1);
    ecs.set_healthy(true);
    until("a copy arrives again", || {
        kanaria.client().call(get("/", ""));
        (ecs.count() > 0).then_some(())
    });
    assert!(
        ecs.seen()
            .iter()
            .all(|seen| seen.head.line == "GET / HTTP/1.1")
    );
}

#[test]
fn a_shadow_pool_that_fails_is_left_alone_for_a_while() {
    let (ec2, is_well) = (Stub::start("ec2"), Arc::new(AtomicBool::new(false)));
    let ecs = Stub::with("ecs", {
        let is_well = Arc::clone(&is_well);
        move |exchange| match is_well.load(Ordering::Relaxed) {
            true => exchange.answer("200 OK", "", b""),
            false => Ok(After::Reset),
        }
    });
    let kanaria = Kanaria::start(&File::single(&ec2).pool("ecs", &[ecs.address]).route(TABLE));
    let mut client = kanaria.client();
    let count = |fate: &str| {
        let label = format!("result=\"{fate}\"");
        kanaria.admin.metric("kanaria_shadow_total", &[&label])
    };
    until("a pause", || {
        client.call(get("/", ""));
        (count("dropped_backoff") > 0.0).then_some(())
    });
    assert!(ecs.count() >= 5, "{}", ecs.count());
    assert_eq!(count("answered"), 0.0);
    is_well.store(true, Ordering::Relaxed);
    until("a copy is answered", || {
        client.call(get("/", ""));
        (count("answered") > 0.0).then_some(())
    });
}

#[test]
fn a_shadow_pool_may_speak_http2() {
    let ec2 = Stub::start("ec2");
    let target = Target::start(async |mut turn| {
        let mut body = turn.head(&[("stub", "ecs")])?;
        body.send_data("ecs".into(), true)
    });
    let file = File::single(&ec2).pool("ecs", &[target.address]);
    let kanaria = Kanaria::start(&file.pool_keys("ecs", "http2 = true").route(TABLE));
    let mut client = kanaria.client();
    for _ in 0..3 {
        client.call(get("/a?b=c", "X-Own: 1\r\n"));
    }
    met(&kanaria, "answered", 3);
    let seen = target.seen();
    assert_eq!(seen[0].uri.path_and_query().unwrap().as_str(), "/a?b=c");
    assert_eq!(seen[0].uri.authority().unwrap().as_str(), "www.example.com");
    assert_eq!(seen[0].headers["x-own"], "1");
    assert_eq!(seen[0].headers["x-kanaria-shadow"], "1");
}

#[test]
fn every_target_of_a_shadow_pool_has_its_turn_also_beside_second_calls() {
    let (ec2, [one, other]) = (Stub::start("ec2"), [Stub::start("a"), Stub::start("b")]);
    let table = format!("{TABLE}compare = {{ noise = true }}\n");
    let file = File::single(&ec2).pool("ecs", &[one.address, other.address]);
    let kanaria = Kanaria::start(&file.route(&table));
    let mut client = kanaria.client();
    for n in 1..=8 {
        client.call(get("/", ""));
        met(&kanaria, "answered", n);
    }
    assert_eq!([one.count(), other.count(), ec2.count()], [4, 4, 16]);
}

#[test]
fn a_wrong_table_is_refused_with_its_place_and_the_one_in_force_stays() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(TABLE);
    let kanaria = Kanaria::start(&file);
    for (wrong, expect) in [
        (
            "pool = \"esc\"\n",
            "no pool is called `esc`; did you mean `ecs`?",
        ),
        (
            "pool = \"ecs\"\npercent = 101\n",
            "must be a number from 0.01 to 100, found 101",
        ),
        (
            "pool = \"ecs\"\npercent = 0.001\n",
            "must be a number from 0.01 to 100",
        ),
        ("pool = \"ecs\"\npercent = 1.001\n", "1.001 is not a share"),
        ("pool = \"ecs\"\npaths = [\"x\"]\n", "`x` matches no path"),
        (
            "pool = \"ecs\"\nmethods = [\"POST\"]\n",
            "`unsafe_methods = true`",
        ),
    ] {
        let text = file
            .clone()
            .route(&format!("[routes.shadow]\n{wrong}"))
            .text();
        let line = 1 + text
            .lines()
            .position(|line| line == "[routes.shadow]")
            .unwrap();
        kanaria.rewrite(&text);
        let outcome = kanaria.run(&["reload"]);
        let told = outcome.stdout + &outcome.stderr;
        assert_ne!(outcome.code, Some(0), "{told}");
        assert!(told.contains(expect), "{told}");
        let place = (1..4).any(|below| told.contains(&format!("kanaria.toml:{}:", line + below)));
        assert!(place, "{told}");
    }
    kanaria.client().call(get("/", ""));
    met(&kanaria, "answered", 1);
}

#[test]
fn without_noise_control_what_is_not_ignored_is_found_and_a_changed_table_begins_anew() {
    let (ec2, ecs) = pair();
    let file = File::single(&ec2).pool("ecs", &[ecs.address]);
    let kanaria = Kanaria::start(&file.clone().route(TABLE));
    let mut client = kanaria.client();
    for n in 1..=60 {
        client.call(get(&format!("/users/{n}"), ""));
    }
    met(&kanaria, "answered", 60);
    let view = kanaria.admin.get("/api/v1/routes/web/shadow");
    assert_eq!(
        (&view["compare"], &view["pool"]),
        (&"plain".into(), &"ecs".into())
    );
    let findings = view["report"]["findings"].as_array().unwrap();
    let named: Vec<_> = findings
        .iter()
        .map(|it| {
            (
                it["endpoint"].as_str().unwrap(),
                it["field"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [("GET /users/:n", "body"), ("GET /users/:n", "header:stub")]
    );
    assert!(
        !view.to_string().contains("ec2"),
        "no value is told: {view}"
    );
    assert_eq!(ec2.count(), 60);
    let outcome = kanaria.run(&["shadow", "web", "--fail-on", "diff"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("GET /users/:n  body"),
        "{}",
        outcome.stdout
    );
    let ignored = format!("{TABLE}ignore = [\"body\", \"header:Stub\"]\n");
    kanaria.rewrite(&file.clone().route(&ignored).text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    client.call(get("/users/1", ""));
    met(&kanaria, "answered", 61);
    let view = kanaria.run_json(&["shadow", "web"]);
    assert_eq!(view["report"]["pairs"], 1);
    assert_eq!(view["report"]["findings"].as_array().unwrap().len(), 0);
    assert_eq!(kanaria.run(&["shadow", "--fail-on", "diff"]).code, Some(0));
    kanaria.rewrite(&file.text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    let outcome = kanaria.run(&["shadow", "web"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("`[routes.shadow]`"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn answers_that_cannot_be_compared_are_counted_and_long_ones_reach_the_client_whole() {
    let ec2 = Stub::with("ec2", |exchange| match exchange.path() {
        "/long" => exchange.answer("200 OK", "", &vec![b'x'; 400_000]),
        "/known" => exchange.answer("304 Not Modified", "", b""),
        _ => exchange.plain(),
    });
    let ecs = Stub::with("ecs", |exchange| match exchange.path() {
        "/broken" => Ok(After::Reset),
        "/long" => exchange.answer("200 OK", "", &vec![b'y'; 400_000]),
        _ => exchange.plain(),
    });
    let table = format!("{TABLE}ignore = [\"header:stub\"]\n");
    let kanaria = Kanaria::start(&File::single(&ec2).pool("ecs", &[ecs.address]).route(&table));
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/long", "")).body.len(), 400_000);
    client.call(get("/broken", ""));
    client.call(get("/known", ""));
    met(&kanaria, "answered", 2);
    met(&kanaria, "failed", 1);
    let view = kanaria.admin.get("/api/v1/routes/web/shadow");
    assert_eq!(view["report"]["pairs"], 1, "{view}");
    assert_eq!(
        view["report"]["skipped"],
        serde_json::json!({"not_modified": 1, "shadow": 1})
    );
    assert_eq!(
        view["report"]["suspects"].as_array().unwrap().len(),
        0,
        "{view}"
    );
    assert_eq!((&view["in_flight"], &view["bytes"]), (&0.into(), &0.into()));
}
