//! One access-log line per request, and metrics that agree with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::tls::{Authority, Wanted};
use crate::support::{File, Kanaria, Load, Stub, get, request, sized, until, volley};

const FIELDS: [&str; 41] = [
    "time",
    "log_version",
    "request_id",
    "trace_id",
    "listener",
    "client_ip",
    "client_port",
    "protocol",
    "tls_version",
    "tls_cipher",
    "method",
    "scheme",
    "host",
    "path",
    "query",
    "status",
    "error",
    "bytes_in",
    "bytes_out",
    "duration_s",
    "upstream_connect_s",
    "upstream_ttfb_s",
    "upstream_addr",
    "upstream_status",
    "attempts",
    "route",
    "partition",
    "pool",
    "reason",
    "bucket",
    "sticky",
    "weights",
    "revision",
    "config_digest",
    "switched_from",
    "fail_open",
    "shadow",
    "cookie_dup",
    "desync",
    "user_agent",
    "referer",
];

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

#[test]
fn a_line_has_every_field_in_order_and_says_what_happened() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let fields = "User-Agent: probe/1\r\nReferer: https://a.example/\r\nX-Request-Id: r-1\r\n\
                  Cookie: secret=1\r\nAuthorization: Basic c2VjcmV0\r\n";
    let answer = kanaria.client().call(get("/a/b?c=d&e", fields));
    let line = &kanaria.log_of(1)[0];
    let names: Vec<_> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, FIELDS);
    let expect = [
        ("request_id", Value::from("r-1")),
        ("listener", "public".into()),
        ("client_ip", "127.0.0.1".into()),
        ("protocol", "HTTP/1.1".into()),
        ("method", "GET".into()),
        ("scheme", "http".into()),
        ("host", "www.example.com".into()),
        ("path", "/a/b".into()),
        ("query", "c=d&e".into()),
        ("status", 200.into()),
        ("error", Value::Null),
        ("upstream_status", 200.into()),
        ("attempts", 1.into()),
        ("route", "web".into()),
        ("partition", "main".into()),
        ("pool", answer.stub().into()),
        ("reason", "weight".into()),
        ("sticky", "new".into()),
        ("switched_from", Value::Null),
        ("user_agent", "probe/1".into()),
        ("referer", "https://a.example/".into()),
        ("tls_version", Value::Null),
    ];
    for (name, value) in expect {
        assert_eq!(line[name], value, "{name}");
    }
    let address = if answer.stub() == "ec2" {
        ec2.address
    } else {
        ecs.address
    };
    assert_eq!(line["upstream_addr"], address.to_string());
    assert!(
        line["bucket"]
            .as_u64()
            .is_some_and(|bucket| bucket < 10_000)
    );
    assert!(line["bytes_out"].as_u64().unwrap() >= answer.head.size as u64);
    let text = line.to_string();
    assert!(
        !text.contains("secret") && !text.contains("c2VjcmV0"),
        "{text}"
    );
}

#[test]
fn times_are_utc_with_microseconds_whatever_the_zone_is() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("kanaria.toml"),
        File::single(&ec2).text(),
    )
    .unwrap();
    let kanaria = Kanaria::start_there(folder, &[("TZ", "Asia/Tokyo")]);
    kanaria.client().call(get("/", ""));
    let line = &kanaria.log_of(1)[0];
    let time = line["time"].as_str().unwrap();
    assert_eq!(
        (time.len(), &time[10..11], &time[26..]),
        (27, "T", "Z"),
        "{time}"
    );
    let moment: jiff::Timestamp = time.parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(moment);
    assert!(age.as_secs().abs() < 60, "{time}");
}

#[test]
fn a_line_is_readable_within_a_second() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    for n in 1..=5 {
        let answer = kanaria.client().call(get("/", ""));
        kanaria.log_of(n);
        assert!(
            answer.at.elapsed() < Duration::from_secs(1),
            "{:?}",
            answer.at.elapsed()
        );
    }
}

#[test]
fn hostile_bytes_still_make_json() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut n = 0;
    for byte in (1..=255_u8).filter(|byte| !b"\r\n".contains(byte)) {
        let mut message = b"GET /".to_vec();
        message.extend([byte, b'"', b'\\']);
        message.extend(b" HTTP/1.1\r\nHost: a\r\nReferer: ");
        message.extend([byte, b'"', b'\\', byte]);
        message.extend(b"\r\nUser-Agent: </script>\xf0\x9f\r\n\r\n");
        // Refused or served: either way it is a request and gets a line.
        let _ = kanaria.client().try_call(message);
        n += 1;
    }
    assert_eq!(kanaria.log_of(n).len(), n);
}

/// What a client that behaves badly leaves behind: each call is one request that was begun.
pub(crate) fn misbehave(kanaria: &Kanaria, slow: &Stub, n: usize) {
    let bytes = match n % 5 {
        0 => "GARBAGE\r\n\r\n".to_owned(),
        1 => "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
        2 => "GET / HTT".to_owned(),
        3 => get("/slow", ""),
        _ => "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
    };
    let waits = slow.count();
    let mut client = kanaria.client();
    client.wire.send(bytes).unwrap();
    if n % 5 < 3 {
        client.wire.finish();
        client.wire.closed();
        return;
    }
    until("the target has the request", || {
        (slow.count() > waits).then_some(())
    });
    if n.is_multiple_of(2) {
        client.wire.reset();
    }
}

#[test]
fn every_request_has_exactly_one_line_whatever_happens_to_it() {
    let (ec2, ecs) = Stub::troubled();
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50")
        .before("[[routes]]\nname = \"slow\"\nmatch = { path = [\"/slow\"] }\nstable = \"ec2\"")
        .server("drain_timeout = \"3s\"");
    let mut kanaria = Kanaria::start(&file);
    let load = Load::start(kanaria.public, 6, sized(200, 1000));
    let bad = sized(40, 400);
    for n in 0..bad {
        misbehave(&kanaria, &ec2, n);
        if n == bad / 2 {
            ecs.die();
            load.pass(20);
            ecs.revive();
        }
    }
    load.pass(50);
    kanaria.signal(Signal::TERM);
    let status = kanaria.wait();
    let shots = load.stop();
    assert_eq!(status.code(), Some(0));
    let log = kanaria.log();
    let mut lines = BTreeMap::<&str, usize>::new();
    for line in &log {
        *lines
            .entry(line["request_id"].as_str().unwrap())
            .or_default() += 1;
    }
    let twice: Vec<_> = lines.iter().filter(|(_, n)| **n > 1).collect();
    let answered: Vec<_> = shots.iter().filter(|shot| shot.status > 0).collect();
    let missing: Vec<_> = answered
        .iter()
        .filter(|shot| !lines.contains_key(&*shot.id))
        .collect();
    let loaded = lines.keys().filter(|id| id.starts_with("load-")).count();
    println!(
        "{} lines: {loaded} of {} answered, {bad} bad",
        log.len(),
        answered.len()
    );
    assert!(twice.is_empty(), "{twice:?}");
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(log.len() - loaded, bad);
}

#[test]
fn counters_agree_with_the_lines() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    let n = 300;
    volley(kanaria.public, n, 4, |n| match n % 3 {
        0 => get("/", ""),
        1 => request("POST", "/", "", "x"),
        _ => get("/", "Cookie: kanaria=AAAAAAAAAAAAAAAAAAAAAA\r\n"),
    });
    let log = kanaria.log_of(n);
    let metric = |name: &str, parts: &[&str]| kanaria.admin.metric(name, parts) as usize;
    assert_eq!(metric("kanaria_requests_total", &[]), n);
    for pool in ["ec2", "ecs"] {
        let lines = log.iter().filter(|line| line["pool"] == pool).count();
        assert_eq!(
            metric("kanaria_requests_total", &[&format!("pool=\"{pool}\"")]),
            lines
        );
    }
    for sticky in ["hit", "new"] {
        let lines = log.iter().filter(|line| line["sticky"] == sticky).count();
        assert_eq!(
            metric("kanaria_sticky_total", &[&format!("result=\"{sticky}\"")]),
            lines
        );
    }
    assert_eq!(metric("kanaria_access_log_lines_total", &[]), n);
    assert_eq!(metric("kanaria_access_log_dropped_total", &[]), 0);
}

#[test]
fn errors_of_ours_never_count_as_the_targets() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).route("match = { path = [\"/ok\"] }"));
    assert_eq!(kanaria.client().call(get("/none", "")).status, 404);
    assert_eq!(kanaria.client().call("BAD\r\n\r\n").status, 400);
    let log = kanaria.log_of(2);
    assert!(
        log.iter()
            .all(|line| line["upstream_status"].is_null() && line["pool"].is_null())
    );
    let ours = |cause: &str| {
        kanaria.admin.metric(
            "kanaria_router_errors_total",
            &[&format!("cause=\"{cause}\"")],
        )
    };
    assert_eq!((ours("no_route"), ours("bad_request")), (1.0, 1.0));
}

#[test]
fn series_do_not_grow_with_what_clients_send() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").quiet());
    let names = |kanaria: &Kanaria| -> BTreeSet<String> {
        let series = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
        kanaria
            .admin
            .metrics()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(series)
            .collect()
    };
    volley(kanaria.public, 400, 4, |n| {
        request(["GET", "PUT"][n % 2], "/", "", "")
    });
    let before = names(&kanaria);
    volley(kanaria.public, sized(2000, 100_000), 4, |n| {
        let fields = format!("Host: h{n}.example\r\nUser-Agent: u{n}\r\nX-Canary: {n}\r\n");
        request(["GET", "PUT"][n % 2], &format!("/{n}"), &fields, "")
    });
    let after = names(&kanaria);
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

#[test]
fn both_pools_have_the_same_metrics() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    volley(kanaria.public, 200, 4, |_| get("/", ""));
    let of = |pool: &str| -> BTreeSet<String> {
        let label = format!("pool=\"{pool}\"");
        let own = |line: &&str| line.contains(&label) && !line.contains("target=");
        let series = |line: &str| {
            line.rsplit_once(' ')
                .map(|(name, _)| name.replace(&label, "POOL"))
        };
        kanaria
            .admin
            .metrics()
            .lines()
            .filter(own)
            .filter_map(series)
            .collect()
    };
    assert!(!of("ec2").is_empty());
    assert_eq!(of("ec2"), of("ecs"));
}

#[test]
fn a_second_log_has_the_same_lines() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2).after("[[access_log]]\npath = \"second.json\"\n");
    let kanaria = Kanaria::start(&file);
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    let began = Instant::now();
    let ids = |text: String| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let first = kanaria.log_of(20).len();
    let second = until("the second log is complete", || {
        let text = std::fs::read_to_string(kanaria.path("second.json")).ok()?;
        Some(ids(text)).filter(|lines| lines.len() == 20)
    });
    println!("after {:?}", began.elapsed());
    assert_eq!(
        (first, second),
        (
            20,
            ids(std::fs::read_to_string(kanaria.path("access.json")).unwrap())
        )
    );
}

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let check = "health_check = { path = \"/healthz\" }";
    let found = "[pools.found]\nfile = \"found.json\"";
    let secure =
        "[[listeners]]\nname = \"secure\"\nbind = \"127.0.0.1:0\"\ntls.certificates = [\"certs\"]";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("found.json"), "[]").unwrap();
    let authority = Authority::new("kanaria tests");
    authority.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    let judged = "[routes.guard]\n[routes.ramp]\nsteps = [{ percent = 50, hold = \"1h\" }]\n[routes.shadow]\npool = \"ecs\"";
    let file = file.pool_keys("ecs", check).route(judged);
    let file = file.server("trusted_proxies = [\"192.0.2.1/32\"]");
    let balanced =
        "[[listeners]]\nname = \"balanced\"\nbind = \"127.0.0.1:0\"\nproxy_protocol = \"required\"";
    let stdout = "[[access_log]]\npath = \"stdout\"";
    let hook = format!("[[webhooks]]\nurl = \"http://{}/hook\"", ec2.address);
    let traces = format!("[telemetry]\notlp = \"http://{}\"", ec2.address);
    let file = file.after(&format!(
        "{found}\n{secure}\n{balanced}\n{stdout}\n{hook}\n{traces}\n"
    ));
    let kanaria = Kanaria::start_in(folder, &file);
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    ecs.die();
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    let nothing = serde_json::json!({});
    kanaria.admin.post("/api/v1/reload", &nothing);
    kanaria.admin.post("/api/v1/rollback", &nothing);
    let metrics = until("guard and ramp have said something", || {
        let metrics = kanaria.admin.metrics();
        let told = ["\nkanaria_guard_log_evidence{", "\nkanaria_ramp_step{"];
        told.iter()
            .all(|it| metrics.contains(it))
            .then_some(metrics)
    });
    let exposed: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| {
            line.strip_prefix("# TYPE ")?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
        .filter(|name| !name.starts_with("process_"))
        .collect();
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let documented: BTreeSet<String> = std::fs::read_to_string(page)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `kanaria_")?.split('`').next())
        .map(|name| format!("kanaria_{name}"))
        .collect();
    assert_eq!(exposed, documented);
}
