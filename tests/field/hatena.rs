//! HATENA: a partition header, a flag, logs and metrics per domain.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::pair;
use crate::support::{
    Client, File, Kanaria, Load, Shot, Stub, get, request, share_z, sized, until, volley,
};

/// Transparent by default: the target sees the same bytes but for the documented headers.
#[test]
fn field_hatena_1() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let ours = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-amzn-trace-id",
        "x-request-id",
        "x-blog-domain-partition",
        "kanaria-pool",
        "kanaria-reason",
    ];
    let mut direct = Client::connect(ec2.address);
    let mut through = kanaria.client();
    let methods = ["GET", "POST", "PUT", "DELETE", "HEAD"];
    for n in 0..300 {
        let fields = format!(
            "Accept: */*;q=0.{}\r\nCookie: a={n}; b=\"{n}\"\r\nX-Field-{n}: {n} , {n}\r\nAccept-Language: ja\r\n",
            n % 10
        );
        let body = "x".repeat(if methods[n % 5] == "GET" { 0 } else { n });
        let message = request(
            methods[n % 5],
            &format!("/{n}?q=%E3%81%82&n={n}"),
            &fields,
            &body,
        );
        direct.call(&message);
        let expected = ec2.last();
        // A body where none is expected is ambiguous: it is answered, and the connection ends with it.
        if through.call(&message).closes() {
            through = kanaria.client();
        }
        let seen = ec2.last();
        let names = |name: &str| !ours.contains(&name.to_ascii_lowercase().as_str());
        let rest = |fields: &[(String, String)]| -> BTreeSet<(String, String)> {
            let lower =
                |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
            fields
                .iter()
                .map(lower)
                .filter(|(name, _)| names(name))
                .collect()
        };
        assert_eq!(seen.head.line, expected.head.line);
        assert_eq!(
            rest(&seen.head.fields),
            rest(&expected.head.fields),
            "{message}"
        );
        assert_eq!(seen.body, expected.body);
    }
}

/// Useful with one pool, so that it can be introduced before any container.
#[test]
fn field_hatena_2() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    assert_eq!(kanaria.log_of(50).len(), 50);
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_requests_total", &["pool=\"ec2\"", "code=\"200\""]),
        50.0
    );
}

/// Servers are added and taken away by a call, not by an edit of the file, under load: nothing fails.
#[test]
fn field_hatena_3() {
    let ec2 = Stub::start("ec2");
    let servers = [Stub::start("a"), Stub::start("b"), Stub::start("c")];
    let kanaria = Kanaria::start(&File::single(&ec2));
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    let addresses: Vec<_> = servers.iter().map(|it| it.address.to_string()).collect();
    let n_swaps = sized(8, 60);
    for n in 0..n_swaps {
        let verb = ["register", "deregister"][n % 2];
        let mut arguments = vec!["targets", verb, "ec2", "--reason", "new servers"];
        arguments.extend(addresses.iter().map(String::as_str));
        let outcome = kanaria.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        load.pass(sized(50, 500));
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{n_swaps} changes, {} requests, {failed} failed, bound 0",
        shots.len()
    );
    assert_eq!(failed, 0);
    assert!(servers.iter().all(|server| server.count() > 10));
}

/// What a trusted front proxy says of the protocol stays; a stranger's word does not. The matrix is in `headers`.
#[test]
fn field_hatena_4() {
    let ec2 = Stub::start("ec2");
    for (trusted, proto) in [("127.0.0.1/32", "https"), ("192.0.2.0/24", "http")] {
        let file = File::single(&ec2).server(&format!("trusted_proxies = [\"{trusted}\"]"));
        let kanaria = Kanaria::start(&file);
        let fields = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n";
        kanaria.client().call(get("/", fields));
        let head = ec2.last().head;
        assert_eq!(head.get("x-forwarded-proto"), Some(proto));
        assert_eq!(head.get("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    }
}

/// Access logs for legal disclosure: nothing is missing, with target deaths and a SIGTERM in the middle of it.
#[test]
fn field_hatena_9() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    let n = sized(3_000, 100_000);
    volley(kanaria.public, n, 8, |n| match n % 10 {
        0 => get("/", "X-Request-Id: bad id\r\n"),
        _ => get("/", ""),
    });
    assert_eq!(kanaria.log_of(n).len(), n);
    ecs.die();
    volley(kanaria.public, 200, 4, |_| get("/", ""));
    let mut kanaria = kanaria;
    kanaria.log_of(n + 200);
    let metric = |name| kanaria.admin.metric(name, &[]) as usize;
    assert_eq!(metric("kanaria_access_log_lines_total"), n + 200);
    assert_eq!(metric("kanaria_access_log_dropped_total"), 0);
    let load = Load::start(kanaria.public, 4, 200);
    load.pass(50);
    kanaria.signal(Signal::TERM);
    kanaria.wait();
    let answered = load.stop().iter().filter(|shot| shot.status == 200).count();
    let lines = kanaria.log().len() - n - 200;
    println!("{answered} answered around SIGTERM, {lines} lines");
    assert!(lines >= answered);
}

/// UTC whatever the zone of the machine; the form is checked in `record`.
#[test]
fn field_hatena_11() {
    let ec2 = Stub::start("ec2");
    for zone in ["Asia/Tokyo", "UTC", "America/St_Johns"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("kanaria.toml"),
            File::single(&ec2).text(),
        )
        .unwrap();
        let kanaria = Kanaria::start_there(folder, &[("TZ", zone)]);
        kanaria.client().call(get("/", ""));
        let log = kanaria.log_of(1);
        let time: jiff::Timestamp = log[0]["time"].as_str().unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(time).as_secs().abs();
        assert!(age < 60, "{zone}: {age} s");
        assert!(log[0]["time"].as_str().unwrap().ends_with('Z'));
    }
}

/// A fault in one of twelve partitions shows there alone.
#[test]
fn field_hatena_14() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| {
        if exchange.head.get("x-blog-domain-partition") == Some("p7") {
            return exchange.answer("500 Internal Server Error", "", b"");
        }
        exchange.plain()
    });
    let hosts: String = (0..12)
        .map(|n| format!("\"p{n}.example\" = \"p{n}\"\n"))
        .collect();
    let file =
        File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").before(&format!("[partitions.hosts]\n{hosts}"));
    let kanaria = Kanaria::start(&file);
    volley(kanaria.public, 240, 4, |n| {
        get("/", &format!("Host: p{}.example\r\n", n % 12))
    });
    let failures = |partition: usize| {
        let partition = format!("partition=\"p{partition}\"");
        kanaria.admin.metric(
            "kanaria_requests_total",
            &["code=\"500\"", "pool=\"ecs\"", &partition],
        )
    };
    for partition in 0..12 {
        let expected = if partition == 7 { 20.0 } else { 0.0 };
        assert_eq!(failures(partition), expected, "p{partition}");
    }
}

/// A canary that never becomes healthy gets nobody; the old pool carries on and the reason is shown.
#[test]
fn field_hatena_17() {
    let (ec2, ecs) = pair();
    ecs.set_healthy(false);
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }";
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").pool_keys("ecs", check);
    let kanaria = Kanaria::start(&file);
    until("the checks have failed", || {
        let targets = kanaria.admin.get("/api/v1/pools/ecs/targets");
        (targets[0]["state"] == "unhealthy").then_some(targets)
    });
    let before = ecs.count();
    let answers = volley(kanaria.public, 200, 4, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.stub() == "ec2"));
    assert_eq!(ecs.count(), before);
    let targets = kanaria.admin.get("/api/v1/pools/ecs/targets");
    let reason = targets[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("Target."), "{targets}");
}

/// One command for anyone, over the socket, twice, under a second, and it prints what changed.
#[test]
fn field_hatena_19() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 100"));
    for _ in 0..2 {
        let outcome = kanaria.run(&["rollback"]);
        println!("{:?}\n{}", outcome.took, outcome.stdout);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.took < Duration::from_secs(1));
        assert!(outcome.stdout.contains("web"));
        assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    }
}

/// A staff flag beats 0, 50 and 100 %, and ordinary users never see the header.
#[test]
fn field_hatena_20() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(
        "[[routes.flags]]\nname = \"staff\"\ncookie = \"kanaria-flag\"\nvalue = \"x\"\npool = \"ecs\"",
    );
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    for percent in [0, 50, 100] {
        kanaria.admin.set_web(100 - percent, percent);
        let flagged = client.call(get("/", "Cookie: kanaria-flag=x\r\n"));
        assert_eq!(flagged.stub(), "ecs");
        assert!(flagged.head.get("kanaria-decision").is_some());
        assert_eq!(client.call(get("/", "")).head.get("kanaria-decision"), None);
    }
}

/// Unlimited subdomains map by suffix, exact beats suffix beats default, a forged header is replaced.
#[test]
fn field_hatena_21() {
    let ec2 = Stub::start("ec2");
    let hosts = "[partitions.hosts]\n\"*.hatenablog.com\" = \"blogs\"\n\"*.x.hatenablog.com\" = \"deep\"\n\
                 \"cdn.hatenablog.com\" = \"images\"\n";
    let kanaria = Kanaria::start(&File::single(&ec2).before(hosts));
    let n = sized(2_000, 100_000);
    volley(kanaria.public, n, 4, |n| {
        get(
            "/",
            &format!("Host: user{n}.hatenablog.com\r\nX-Blog-Domain-Partition: images\r\n"),
        )
    });
    let header = "x-blog-domain-partition";
    assert!(
        ec2.seen()
            .iter()
            .all(|seen| seen.head.all(header).eq(["blogs"]))
    );
    for (host, partition) in [
        ("cdn.hatenablog.com", "images"),
        ("a.x.hatenablog.com", "deep"),
        ("b.org", "main"),
    ] {
        kanaria
            .client()
            .call(get("/", &format!("Host: {host}\r\n")));
        assert_eq!(ec2.last().head.get(header), Some(partition), "{host}");
    }
}

/// Weights per partition: three shares right in one run.
#[test]
fn field_hatena_22() {
    let (ec2, ecs) = pair();
    let route = |partition: &str, ecs: u32| {
        format!(
            "[[routes]]\nname = \"{partition}\"\nmatch = {{ partition = [\"{partition}\"] }}\nstable = \"ec2\"\n\
             weights = {{ ec2 = {}, ecs = {ecs} }}\n",
            100 - ecs
        )
    };
    let tables = [
        "[partitions.hosts]\n\"og.example\" = \"og\"\n\"*.custom.example\" = \"custom\"\n\"*.blog.example\" = \"blogs\"\n".into(),
        route("og", 100),
        route("custom", 10),
        route("blogs", 0),
    ];
    let kanaria =
        Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").before(&tables.concat()));
    let n = 1500;
    for (host, share) in [
        ("og.example", 1.0),
        ("a.custom.example", 0.1),
        ("a.blog.example", 0.0),
    ] {
        let before = ecs.count();
        volley(kanaria.public, n, 4, |_| {
            get("/", &format!("Host: {host}\r\n"))
        });
        let hits = ecs.count() - before;
        println!("{host}: {hits} of {n}, asked {share}");
        if share == 0.1 {
            assert!(share_z(hits, n, share).abs() < 3.3);
        } else {
            assert_eq!(hits as f64, n as f64 * share);
        }
    }
}

/// 1 % with four old targets and one new one, where counting targets could only do 20 %.
#[test]
fn field_hatena_24() {
    let old: Vec<Stub> = (0..4).map(|_| Stub::start("ec2")).collect();
    let ecs = Stub::start("ecs");
    let addresses: Vec<_> = old.iter().map(|stub| stub.address).collect();
    let file = File::split(&old[0], &ecs, "ec2 = 99, ecs = 1")
        .pool("ec2", &addresses)
        .quiet();
    let kanaria = Kanaria::start(&file);
    let n = sized(5_000, 50_000);
    volley(kanaria.public, n, 8, |_| get("/", ""));
    let z = share_z(ecs.count(), n, 0.01);
    println!("{} of {n}, z {z:.2}, bound 3.3", ecs.count());
    assert!(z.abs() < 3.3);
    assert!(old.iter().all(|stub| stub.count() > n / 8));
}

/// Spot tasks vanish: only what was in flight there may fail, idempotent requests do not; compressed bodies pass as they are.
#[test]
fn field_hatena_26() {
    const COMPRESSED: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00";
    let names = ["task-0", "task-1", "task-2", "task-3", "task-4"];
    let tasks = names.map(|name| {
        Stub::with(name, |exchange| {
            exchange.answer("200 OK", "content-encoding: gzip\r\n", COMPRESSED)
        })
    });
    let slow_start = Duration::from_secs(3);
    let keys = "slow_start = \"3s\"\nhealth_check = { path = \"/healthz\", interval = \"2s\", timeout = \"1s\" }";
    let addresses: Vec<_> = tasks.iter().map(|task| task.address).collect();
    let file = File::single(&tasks[0])
        .pool("ec2", &addresses)
        .pool_keys("ec2", keys);
    let kanaria = Kanaria::start(&file.quiet());
    let up = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]);
    until("all tasks are healthy", || (up() == 5.0).then_some(()));
    assert_eq!(kanaria.client().call(get("/", "")).body, COMPRESSED);

    let rate = sized(200, 1000);
    let reads = Load::start(kanaria.public, 8, rate * 4 / 5);
    let writes = Load::with(kanaria.public, 4, rate / 5, |id| {
        request("POST", "/", &format!("X-Request-Id: {id}\r\n"), "x")
    });
    reads.pass(rate);
    let death = Instant::now();
    tasks[0].die();
    until("the dead task is out", || (up() == 4.0).then_some(()));
    let noticed = death.elapsed();
    reads.pass(rate);
    tasks[0].revive();
    until("the task is back", || (up() == 5.0).then_some(()));
    let back = Instant::now();
    reads.pass(rate * 5);
    let (reads, writes) = (reads.stop(), writes.stop());

    let failed = |shots: &[Shot]| shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{rate} requests/s; out of rotation after {noticed:?}, bound 2s; failed: {} of {} GETs, bound 0; {} of {} POSTs, bound 4 in flight",
        failed(&reads),
        reads.len(),
        failed(&writes),
        writes.len(),
    );
    assert!(noticed <= Duration::from_secs(2));
    assert_eq!(failed(&reads), 0);
    assert!(failed(&writes) <= 4);
    let share = |from: f64, to: f64| {
        let [from, to] = [from, to].map(|part| back + slow_start.mul_f64(part));
        let all: Vec<_> = reads.iter().chain(&writes).collect();
        let window = all.iter().filter(|shot| (from..to).contains(&shot.sent));
        let served = window.clone().filter(|shot| shot.stub == "task-0").count();
        served as f64 / window.count().max(1) as f64
    };
    let shares = [
        share(0.0, 0.33),
        share(0.33, 0.67),
        share(0.67, 1.0),
        share(1.1, 1.6),
    ];
    println!(
        "share of the task that came back, by thirds of slow start and after: {shares:.3?}; even slow start gives 0.040, 0.110, 0.172, 0.200"
    );
    for (share, even) in shares.iter().zip([0.040, 0.110, 0.172, 0.200]) {
        assert!((share - even).abs() < 0.05);
    }
}

/// Targets without what they serve fail their checks, and get no share: the ramp does not begin, nor go on.
#[test]
fn field_hatena_17_no_step_without_healthy_targets() {
    let (ec2, ecs) = pair();
    ecs.set_healthy(false);
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }";
    let ramp = "[routes.ramp]\nrequire_evidence = false\nsteps = [{ percent = 10, hold = '2s' }, { percent = 50, hold = '1h' }]\n";
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0")
        .pool_keys("ecs", check)
        .route(ramp);
    let kanaria = Kanaria::start(&file);
    let up = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ecs\""]);
    until("the canary is known to be ill", || {
        (ecs.checks() > 2 && up() == 0.0).then_some(())
    });
    let refused = kanaria.run(&["ramp", "start", "web"]);
    println!("{}", refused.stderr);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("0 targets of canary `ecs` are healthy, and its ramp needs 1")
    );
    ecs.set_healthy(true);
    until("the canary is well", || (up() == 1.0).then_some(()));
    assert_eq!(kanaria.run(&["ramp", "start", "web"]).code, Some(0));
    ecs.set_healthy(false);
    let missing = until("the ramp is held", || {
        let ramp = kanaria.admin.get("/api/v1/routes/web/ramp");
        let missing = ramp["missing"][0].as_str()?.to_owned();
        (ramp["step"] == 1).then_some(missing)
    });
    println!("held, lacks {missing}");
    assert!(
        missing.starts_with("healthy targets of the canary: 0 of the 1 it needs"),
        "{missing}"
    );
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"],
        10
    );
}
