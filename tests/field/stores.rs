//! STORES: payments, two implementations side by side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{pair, swapped};
use crate::discovery::{blue_and_green, by_dns, ip};
use crate::support::{
    After, Dns, File, Kanaria, Load, Stub, get, long, request, share_z, sized, until, volley,
};

/// Each payment arrives at most once anywhere, during changes and target deaths; failures are the injected ones.
#[test]
fn field_stores_1() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    let load = Load::with(kanaria.public, 6, sized(200, 1000), |id| {
        request(
            "POST",
            &format!("/pay/{id}"),
            &format!("X-Request-Id: {id}\r\n"),
            "amount=1",
        )
    });
    for n in 0..sized(20, 50) {
        kanaria.admin.set_web(100 - n as u32, 1 + n as u32);
        match n % 10 {
            4 => ecs.die(),
            6 => ecs.revive(),
            9 => kanaria.signal(Signal::HUP),
            _ => {}
        }
        load.pass(10);
    }
    let shots = load.stop();
    let mut arrived = BTreeMap::<String, usize>::new();
    for seen in ec2.seen().into_iter().chain(ecs.seen()) {
        *arrived.entry(seen.head.line).or_default() += 1;
    }
    let twice: Vec<_> = arrived.iter().filter(|(_, n)| **n > 1).collect();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    let lost = shots
        .iter()
        .filter(|shot| shot.status == 200)
        .filter(|shot| !arrived.contains_key(&format!("POST /pay/{} HTTP/1.1", shot.id)))
        .count();
    println!(
        "{} payments, {failed} failed at 2 target deaths, {} twice",
        shots.len(),
        twice.len()
    );
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(lost, 0);
    // Only what was in flight at, or on a pooled connection to, the target that died.
    assert!(failed <= sized(2, 5) * 6, "{failed}");
}

/// Payments through targets that reset after the head, that close connections which are then kept for nothing, and that
/// die: no id arrives twice, and each failure that a client sees is one that was injected.
#[test]
fn field_stores_1_failures_seen_are_failures_injected() {
    let misbehaves = |name| {
        Stub::with(name, |exchange| {
            let id: usize = exchange
                .path()
                .rsplit('/')
                .next()
                .unwrap_or("")
                .parse()
                .unwrap_or(0);
            match id % 10 {
                // The head was read, and nothing else.
                3 => Ok(After::Reset),
                // Not announced: the router keeps a connection that is gone.
                6 => exchange.plain().map(|_| After::Close),
                _ => exchange.plain(),
            }
        })
    };
    let (ec2, ecs, other) = (misbehaves("ec2"), misbehaves("ecs"), misbehaves("other"));
    let keys = "ejection = { consecutive_failures = 0 }";
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50")
        .pool("ecs", &[ecs.address, other.address])
        .pool_keys("ec2", keys)
        .pool_keys("ecs", keys);
    let kanaria = Kanaria::start(&file);
    let n = sized(400, 2000);
    let part = n / 8;
    let mut failed = Vec::new();
    let deaths = 3;
    for phase in 0..8 {
        match phase {
            2 | 4 | 6 => other.die(),
            3 | 5 | 7 => other.revive(),
            _ => {}
        }
        let answers = volley(kanaria.public, part, 4, |k| {
            let id = phase * part + k;
            let fields = format!("X-Request-Id: pay-{id}\r\n");
            request("POST", &format!("/pay/{id}"), &fields, "amount=1")
        });
        failed.extend(
            answers
                .iter()
                .filter(|answer| answer.status != 200)
                .map(|a| a.status),
        );
    }
    let mut arrived = BTreeMap::<String, usize>::new();
    for stub in [&ec2, &ecs, &other] {
        for seen in stub.seen() {
            *arrived.entry(seen.head.line).or_default() += 1;
        }
    }
    assert!(arrived.values().all(|times| *times == 1), "{arrived:#?}");
    let log = kanaria.log_of(n);
    let of = |id: usize| arrived.contains_key(&format!("POST /pay/{id} HTTP/1.1"));
    let line = |id: usize| {
        let id = format!("pay-{id}");
        log.iter()
            .find(|line| line["request_id"] == id.as_str())
            .unwrap()
    };
    let (mut resets, mut lost) = (0, 0);
    for id in 0..n {
        match (line(id)["status"] == 200, of(id), id % 10 == 3) {
            (true, true, false) => {}
            (false, true, true) => resets += 1,
            // Written into a connection that its target had closed, or that died with it.
            (false, false, _) => lost += 1,
            told => panic!("{id}: answered, arrived, reset {told:?}"),
        }
    }
    println!(
        "{n} payments, {} failed: {resets} resets after the head, {lost} on connections that were gone; {} arrived twice",
        failed.len(),
        arrived.values().filter(|times| **times > 1).count()
    );
    assert_eq!(failed.len(), resets + lost);
    assert!(failed.iter().all(|status| *status == 502), "{failed:?}");
    // One connection is gone for each unannounced close, and at most one for each of four clients at a death.
    assert!(lost <= n / 10 + deaths * 4, "{lost}");
}

/// The canary's share is more than its cap: it never sees more in a second than the rate and one bucket, whatever is
/// reloaded and changed meanwhile; the rest goes to the old side without an error.
#[test]
fn field_stores_10() {
    const RATE: usize = 50;
    let (ec2, ecs) = pair();
    let weights = if long() { [90, 10] } else { [50, 50] };
    let file = File::split(
        &ec2,
        &ecs,
        &format!("ec2 = {}, ecs = {}", weights[0], weights[1]),
    )
    .route(&format!("cap.max_rps = {RATE}"));
    let kanaria = Kanaria::start(&file);
    let rate = sized(500, 2000);
    let load = Load::start(kanaria.public, sized(5, 16), rate);
    let began = Instant::now();
    for _ in 0..sized(4, 20) {
        load.pass(rate / 2);
        kanaria.signal(Signal::HUP);
        kanaria.admin.set_web(weights[0] + 1, weights[1]);
    }
    let shots = load.stop();
    let took = began.elapsed();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    let arrivals: Vec<_> = ecs.seen().iter().map(|seen| seen.at).collect();
    let within_a_second = |from: &Instant| {
        let second = arrivals.iter().filter(|at| *at >= from);
        second
            .take_while(|at| **at - *from < Duration::from_secs(1))
            .count()
    };
    let most = arrivals.iter().map(within_a_second).max().unwrap_or(0);
    let all = RATE + (RATE as f64 * took.as_secs_f64()) as usize;
    let offered = shots.len() as u32 * weights[1] / (weights[0] + weights[1]);
    println!(
        "canary offered about {offered} in {took:?}: {} arrived, bound {all}; in one second {most}, bound {}; {failed} errors",
        arrivals.len(),
        2 * RATE
    );
    assert_eq!(failed, 0);
    // One more may be on its way at either end.
    assert!(most <= 2 * RATE + 1, "{most}");
    assert!(arrivals.len() <= all + 1);
    // A machine that is too busy for the rate offers less than the cap lets through.
    let least = all.min(offered as usize) * 4 / 5;
    assert!(arrivals.len() >= least, "{least}");
    let log = kanaria.log_of(shots.len());
    let over = log.iter().filter(|line| line["reason"] == "cap").count();
    assert!(log.iter().all(|line| line["reason"] != "failover"));
    let counted = kanaria
        .admin
        .metric("kanaria_pool_switches_total", &["cause=\"cap\""]);
    assert_eq!(counted, over as f64);
    assert_eq!(
        log.iter().filter(|line| line["pool"] == "ecs").count(),
        arrivals.len()
    );
}

/// A pool given by a name in DNS: ten swaps of its address at TTL 1 s under load; each is used within 2 s, 0 errors,
/// the share untouched.
#[test]
fn field_stores_5() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = blue_and_green();
    let dns = Dns::start();
    dns.set("web.test", 1, &ip(&blue));
    let kanaria = Kanaria::start(&by_dns(&ec2, &[&dns], &blue, "ec2 = 90, ecs = 10"));
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    let mut slowest = Duration::ZERO;
    for n in 0..10 {
        let new = [&green, &blue][n % 2];
        load.pass(50);
        let (before, began) = (new.count(), Instant::now());
        dns.set("web.test", 1, &ip(new));
        until("the new address is used", || {
            (new.count() > before).then_some(())
        });
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest swap {slowest:?}, bound 2 s");
    assert!(slowest < Duration::from_secs(2));
    swapped(&load.stop(), "ten swaps by DNS");
}

/// QA reaches any pool, also one outside the split, by a flag from allowed addresses. Signed flags come later.
#[test]
fn field_stores_7() {
    let (ec2, ecs) = pair();
    let green = Stub::start("green");
    let flag = |from: &str| {
        format!(
            "[[routes.flags]]\nname = \"qa\"\nheader = \"X-Qa\"\nvalue = \"v1\"\npool = \"green\"\nfrom = [\"{from}\"]"
        )
    };
    for (from, expected) in [("127.0.0.1/32", "green"), ("192.0.2.0/24", "ec2")] {
        let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0")
            .pool("green", &[green.address])
            .route(&flag(from));
        let kanaria = Kanaria::start(&file);
        let mut client = kanaria.client();
        assert_eq!(
            client.call(get("/", "X-Qa: v1\r\n")).stub(),
            expected,
            "{from}"
        );
        assert_eq!(client.call(get("/", "X-Qa: v2\r\n")).stub(), "ec2");
    }
}

/// Rules by header and other conditions, each with its own weights, in order.
#[test]
fn field_stores_11() {
    let (ec2, ecs) = pair();
    let rules = "[[routes]]\nname = \"header\"\nmatch = { header = { X-Team = [\"qa-*\"] } }\nstable = \"ec2\"\nweights = { ec2 = 0, ecs = 1 }\n\
                 [[routes]]\nname = \"query\"\nmatch = { query = { v = \"2\" }, path = [\"/a*\"] }\nstable = \"ecs\"\n\
                 [[routes]]\nname = \"source\"\nmatch = { source_ip = [\"192.0.2.0/24\"] }\nstable = \"ecs\"\n";
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5").before(rules);
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    for _ in 0..50 {
        assert_eq!(client.call(get("/", "X-Team: qa-7\r\n")).stub(), "ecs");
        assert_eq!(client.call(get("/abc?v=2", "")).stub(), "ecs");
    }
    let n = 2000;
    let before = ecs.count();
    volley(kanaria.public, n, 4, |n| {
        get(["/abc?v=3", "/b?v=2"][n % 2], "X-Team: dev\r\n")
    });
    let z = share_z(ecs.count() - before, n, 0.05);
    println!(
        "the rest: {} of {n} at 5 %, z {z:.2}, bound 3.3",
        ecs.count() - before
    );
    assert!(z.abs() < 3.3);
}
