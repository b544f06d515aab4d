//! GREE: production requests copied to the new environment, before it has users.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use crate::support::http2::{Http2, ask};
use crate::support::tls::{Authority, Wanted};
use crate::support::{After, File, Kanaria, Seen, Stub, get, request, sized, until, volley};

/// All of what `ec2` serves is copied to `ecs`, with further keys of the table.
pub(super) fn shadowed(ec2: &Stub, ecs: &Stub, keys: &str) -> File {
    let table = format!("[routes.shadow]\npool = \"ecs\"\npercent = 100\n{keys}");
    let file = File::single(ec2).pool("ecs", &[ecs.address]);
    file.route(&table)
}

/// Waits until `n` copies have met their fate; those that met `fate`.
#[track_caller]
pub(super) fn settled(kanaria: &Kanaria, n: usize) -> impl Fn(&str) -> usize {
    until("every copy has met its fate", || {
        let all = kanaria.admin.metric("kanaria_shadow_total", &[]);
        (all as usize == n).then_some(())
    });
    let metrics = kanaria.admin.metrics();
    move |fate| {
        let label = format!("result=\"{fate}");
        let lines = metrics.lines();
        lines
            .filter(|line| line.starts_with("kanaria_shadow_total{") && line.contains(&label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    }
}

/// A request as its target sees it, but for what says which pool that is.
fn told(seen: &Seen) -> (String, BTreeSet<(String, String)>) {
    let fields = seen.head.fields.iter();
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let own = |name: &str| matches!(name, "kanaria-pool" | "x-kanaria-shadow");
    let fields = fields.filter(|(name, _)| !own(name));
    (seen.head.line.clone(), fields.collect())
}

fn by_id(stub: &Stub) -> BTreeMap<String, (String, BTreeSet<(String, String)>)> {
    let seen = stub.seen();
    let id = |seen: &Seen| seen.head.get("x-request-id").unwrap_or_default().to_owned();
    seen.iter().map(|seen| (id(seen), told(seen))).collect()
}

/// The shadow pool gets the same methods, addresses and fields; clients notice nothing.
#[test]
fn field_gree_03() {
    let (ec2, ecs) = super::pair();
    let alone = Kanaria::start(&File::single(&ec2).quiet());
    let file = shadowed(&ec2, &ecs, "drop_headers = []").quiet();
    let kanaria = Kanaria::start(&file);
    let n = sized(1500, 30_000);
    let message = |n: usize| {
        let fields =
            format!("Cookie: a={n}; b=\"1\"\r\nAccept: x\r\nAccept: y\r\nX-Request-Id: id-{n}\r\n");
        let method = ["GET", "HEAD"][n % 2];
        request(method, &format!("/p/{n}?q=%20{n}&r"), &fields, "")
    };
    let begun = Instant::now();
    let answers = volley(kanaria.public, n, 4, message);
    let rate = n as f64 / begun.elapsed().as_secs_f64();
    let fates = settled(&kanaria, n);
    let (dropped, served, copied) = (fates("dropped_"), by_id(&ec2), by_id(&ecs));
    println!(
        "{n} requests at {rate:.0}/s, {} copied, {dropped} dropped, {} answered",
        copied.len(),
        fates("answered")
    );
    assert_eq!(served.len(), n);
    assert_eq!(copied.len(), n - dropped);
    assert_eq!(ecs.count(), n - dropped);
    for (id, copy) in &copied {
        assert_eq!(copy, &served[id]);
    }
    let plain = |answer: &crate::support::Answer| {
        let mut fields = answer.head.fields.clone();
        fields.retain(|(name, _)| name != "Date");
        (answer.status, fields, answer.body.clone())
    };
    let without = volley(alone.public, 2, 1, message);
    let without: Vec<_> = without.iter().map(plain).collect();
    let other = answers.iter().map(plain);
    let other: Vec<_> = other.filter(|it| !without.contains(it)).collect();
    assert!(other.is_empty(), "{:?}, without: {without:?}", other[0]);
}

/// Pools that hang, reset, are absent, or never stop answering.
pub(super) fn troubled() -> [(&'static str, Stub); 4] {
    let hang = Stub::with("ecs", |exchange| exchange.wire.rest().map(|_| After::Close));
    let reset = Stub::with("ecs", |_| Ok(After::Reset));
    let absent = Stub::start("ecs");
    absent.die();
    let endless = Stub::with("ecs", |exchange| {
        exchange
            .wire
            .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        loop {
            exchange.wire.send(&chunk)?;
        }
    });
    [
        ("hangs", hang),
        ("resets", reset),
        ("is absent", absent),
        ("never ends", endless),
    ]
}

/// What bounds copies to such a pool.
pub(super) const BOUNDS: &str = "max_in_flight = 8\ntimeout = \"300ms\"";

/// A shadow pool in trouble hurts nobody but itself.
#[test]
fn field_gree_04() {
    for (what, ecs) in troubled() {
        let ec2 = Stub::start("ec2");
        let kanaria = Kanaria::start(&shadowed(&ec2, &ecs, BOUNDS).quiet());
        let before = kanaria.resident_kib();
        let n = sized(800, 20_000);
        let answers = volley(kanaria.public, n, 4, |_| get("/", ""));
        let failed = answers
            .iter()
            .filter(|answer| answer.status != 200 || answer.stub() != "ec2");
        let (failed, grown) = (
            failed.count(),
            kanaria.resident_kib().saturating_sub(before),
        );
        let fates = settled(&kanaria, n);
        let sent = ["answered", "cut", "failed", "timeout"].map(&fates);
        let unreachable = fates("unreachable");
        println!(
            "{what}: {failed} of {n} failed, bound 0; sent {sent:?}, unreachable {unreachable}, dropped {}, memory {grown} KiB, bound 49152",
            fates("dropped_")
        );
        assert_eq!(failed, 0);
        assert_eq!(
            sent.iter().sum::<usize>() + unreachable + fates("dropped_"),
            n
        );
        assert_eq!(sent[0], 0);
        assert!(ecs.count() <= sent.iter().sum(), "{} arrived", ecs.count());
        assert!(grown < 48 * 1024, "{grown} KiB");
    }
}

/// No write arrives at the shadow pool, and nothing of a denied path, however it is spelled.
#[test]
fn field_gree_05() {
    let (ec2, ecs) = super::pair();
    let keys = "deny_paths = [\"/logout*\", \"/admin*\"]\nmax_in_flight = 10000";
    let kanaria = Kanaria::start(&shadowed(&ec2, &ecs, keys).quiet());
    let methods = [
        "GET", "POST", "HEAD", "PUT", "GET", "PATCH", "GET", "DELETE", "OPTIONS",
    ];
    let paths = [
        ("/", true),
        ("/a?logout", true),
        ("/logout", false),
        ("/logout/x?y", false),
        ("/admin/1", false),
        ("//admin/2", false),
        ("/%61dmin/3", false),
        ("/shop/../admin", false),
        ("/shop%2F..%2Fadmin", false),
        ("/shop/admin", true),
    ];
    let n = sized(4000, 100_000);
    volley(kanaria.public, n, 4, |n| {
        let method = methods[n % methods.len()];
        let body = if matches!(method, "POST" | "PUT" | "PATCH") {
            "a=1"
        } else {
            ""
        };
        request(method, paths[n % paths.len()].0, "", body)
    });
    let allowed = (0..n).filter(|n| {
        paths[n % paths.len()].1 && matches!(methods[n % methods.len()], "GET" | "HEAD")
    });
    let allowed = allowed.count();
    let fates = settled(&kanaria, allowed);
    let seen = ecs.seen();
    let stray = |seen: &&Seen| {
        let mut words = seen.head.line.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let known = paths.iter().find(|(own, _)| *own == path);
        !matches!(method, "GET" | "HEAD") || !known.is_some_and(|(_, allowed)| *allowed)
    };
    let strays = seen.iter().filter(stray).count();
    println!(
        "{n} requests, {allowed} to copy, {} arrived, {strays} strays, bound 0",
        seen.len()
    );
    assert_eq!(strays, 0);
    assert_eq!(seen.len() + fates("dropped_"), allowed);
}

/// What comes over HTTPS and HTTP/2 is copied too, with its body where that was asked for.
#[test]
fn field_gree_06() {
    let (ec2, ecs) = super::pair();
    let (authority, folder) = (Authority::new("kanaria tests"), TempDir::new().unwrap());
    let certs = folder.path().join("certs");
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    let keys = "methods = [\"GET\", \"POST\"]\nunsafe_methods = true";
    let file = shadowed(&ec2, &ecs, keys).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    let hello = authority.hello("a.test");
    let mut client = hello.connect(kanaria.public);
    client.call(get("/1?a=b", "Host: a.test\r\n"));
    client.call(request("POST", "/2", "Host: a.test\r\n", "two"));
    let client = Http2::connect_over(kanaria.public, &hello);
    let ask = |method, path| ask(method, path).uri(format!("https://a.test{path}"));
    assert_eq!(client.call(ask("GET", "/3?a=b"), b"").status, 200);
    assert_eq!(client.call(ask("POST", "/4"), b"four").status, 200);
    assert_eq!(settled(&kanaria, 4)("answered"), 4);
    let mut seen = ecs.seen();
    seen.sort_by_key(|seen| seen.head.line.clone());
    let lines: Vec<_> = seen
        .iter()
        .map(|seen| (&*seen.head.line, &*seen.body))
        .collect();
    let expect: [(&str, &[u8]); 4] = [
        ("GET /1?a=b HTTP/1.1", b""),
        ("GET /3?a=b HTTP/1.1", b""),
        ("POST /2 HTTP/1.1", b"two"),
        ("POST /4 HTTP/1.1", b"four"),
    ];
    assert_eq!(lines, expect);
    for seen in &seen {
        assert_eq!(seen.head.get("host"), Some("a.test"));
        assert_eq!(seen.head.get("x-forwarded-proto"), Some("https"));
    }
}

/// Copies are marked, nobody else is, and nothing that counts requests counts them.
#[test]
fn field_gree_07() {
    let (ec2, ecs) = super::pair();
    let kanaria = Kanaria::start(&shadowed(&ec2, &ecs, "max_rps = 5"));
    let n = sized(100, 2000);
    let begun = Instant::now();
    volley(kanaria.public, n, 2, |_| {
        get("/", "X-Kanaria-Shadow: 1\r\nX-Kanaria-Shadow: 2\r\n")
    });
    let most = 5 + (begun.elapsed().as_secs_f64() * 5.0).ceil() as usize;
    let fates = settled(&kanaria, n);
    println!(
        "{} copies of {n} requests, bound {most}; {} over the rate",
        ecs.count(),
        fates("dropped_rate")
    );
    assert!((5..=most).contains(&ecs.count()));
    assert_eq!(fates("dropped_rate") + ecs.count(), n);
    for seen in ecs.seen() {
        let marks: Vec<_> = seen.head.all("x-kanaria-shadow").collect();
        assert_eq!(marks, ["1"]);
        assert_eq!(seen.head.get("kanaria-pool"), Some("ecs"));
    }
    assert!(
        ec2.seen()
            .iter()
            .all(|seen| seen.head.get("x-kanaria-shadow").is_none())
    );
    assert!(
        ec2.seen()
            .iter()
            .all(|seen| seen.head.get("kanaria-pool") == Some("ec2"))
    );
    let log = kanaria.log_of(n);
    assert_eq!(log.len(), n);
    assert!(
        log.iter()
            .all(|line| line["shadow"] == true && line["pool"] == "ec2")
    );
    assert_eq!(
        kanaria.admin.metric("kanaria_requests_total", &[]),
        n as f64
    );
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_requests_total", &["pool=\"ecs\""]),
        0.0
    );
}

/// Credentials are left out or replaced, and what the shadow pool sets reaches nobody.
#[test]
fn field_gree_08() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| {
        exchange.answer("200 OK", "Set-Cookie: sess=shadow\r\n", b"shadow")
    });
    let sent = "Cookie: sess=1\r\nAuthorization: Bearer x\r\nX-Api-Key: k\r\n";
    for (keys, cookie, authorization, key) in [
        ("", None, None, Some("k")),
        (
            "drop_headers = []",
            Some("sess=1"),
            Some("Bearer x"),
            Some("k"),
        ),
        (
            "drop_headers = [\"X-Api-Key\", \"Authorization\"]\nheaders.set = { Cookie = \"sess=reader\" }",
            Some("sess=reader"),
            None,
            None,
        ),
    ] {
        let kanaria = Kanaria::start(&shadowed(&ec2, &ecs, keys).quiet());
        let answer = kanaria.client().call(get("/", sent));
        assert_eq!(
            (answer.stub(), answer.head.get("set-cookie")),
            ("ec2", None)
        );
        assert_eq!(settled(&kanaria, 1)("answered"), 1);
        let seen = ecs.last().head;
        assert_eq!(seen.get("cookie"), cookie, "{keys}");
        assert_eq!(seen.get("authorization"), authorization, "{keys}");
        assert_eq!(seen.get("x-api-key"), key, "{keys}");
        assert_eq!(ec2.last().head.get("cookie"), Some("sess=1"));
    }
}

/// An application whose answers all differ by themselves; the price of one page is another one when it is `broken`.
fn app(name: &'static str, broken: bool) -> Stub {
    static ANSWERS: AtomicUsize = AtomicUsize::new(1);
    Stub::with(name, move |exchange| {
        let n = ANSWERS.fetch_add(1, Ordering::Relaxed);
        let path = exchange
            .path()
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let price = if broken && path == "/p/page17" { 9 } else { 8 };
        let fields = format!("date: {n}\r\nx-nonce: {n:x}\r\n");
        let (kind, body) = if path.ends_with('4') {
            let script = format!("<script nonce=\"{n}\">var at = {n};</script>");
            (
                "text/html",
                format!("<html><body>{script}<p>price  {price}</p></body></html>"),
            )
        } else {
            let item = format!("{{\"price\":{price},\"id\":\"{n:x}\"}}");
            (
                "application/json",
                format!("{{\"path\":\"{path}\",\"at\":{n},\"items\":[{item},{item}]}}"),
            )
        };
        let fields = format!("content-type: {kind}\r\n{fields}");
        exchange.answer("200 OK", &fields, body.as_bytes())
    })
}

/// What is found among 2,000 requests to fifty pages.
fn compared(broken: bool) -> (Kanaria, [Stub; 2]) {
    let (ec2, ecs) = (app("ec2", false), app("ecs", broken));
    // The stubs tell their names in a field.
    let keys = "compare = { noise = true }\nignore = [\"header:stub\"]\nmax_in_flight = 10000\ntimeout = \"60s\"";
    let kanaria = Kanaria::start(&shadowed(&ec2, &ecs, keys).quiet());
    volley(kanaria.public, 2000, 4, |n| {
        get(&format!("/p/page{}?q={n}", n % 50), "")
    });
    let answered = settled(&kanaria, 2000)("answered");
    assert_eq!(answered, 2000);
    (kanaria, [ec2, ecs])
}

/// A difference in one of fifty pages is named with its path and its rate; what differs by itself is not.
#[test]
fn field_gree_10() {
    let (kanaria, stubs) = compared(true);
    let outcome = kanaria.run(&["shadow", "web", "--fail-on", "diff"]);
    println!("{}", outcome.stdout);
    assert_eq!(outcome.code, Some(1));
    let view = kanaria.admin.get("/api/v1/routes/web/shadow");
    let report = &view["report"];
    assert_eq!(report["pairs"], 2000);
    assert_eq!(report["n_endpoints"], 50);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["endpoint"], "GET /p/page17");
    assert_eq!(findings[0]["field"], "json:$.items[*].price");
    assert_eq!(
        (&findings[0]["raw"], &findings[0]["noise"]),
        (&1.0.into(), &0.0.into())
    );
    assert_eq!(stubs[0].count(), 4000);
    assert_eq!(stubs[1].count(), 2000);
    let controls = stubs[0].seen();
    let controls = controls
        .iter()
        .filter(|seen| seen.head.get("x-kanaria-shadow").is_some());
    assert_eq!(controls.count(), 2000);
    for run in 1..=sized(1, 20) {
        let (kanaria, _stubs) = compared(false);
        let outcome = kanaria.run(&["shadow", "--fail-on", "diff"]);
        let view = kanaria.admin.get("/api/v1/routes/web/shadow");
        let findings = view["report"]["findings"].as_array().unwrap().len();
        println!("run {run} without a difference: {findings} findings, bound 0");
        assert_eq!((outcome.code, findings), (Some(0), 0), "{}", outcome.stdout);
    }
}
