//! MISOCA: weights in DNS, two load balancers.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{pair, swapped};
use crate::discovery::{found, list, replace};
use crate::support::{
    After, Counts, File, Jar, Kanaria, Load, Stub, get, share_z, sized, strays, until, volley,
};

/// One entrance for both pools: the name in DNS is touched once.
#[test]
fn field_misoca_1() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    let answers = volley(kanaria.public, 200, 4, |_| get("/", ""));
    let counts: Counts = answers.iter().map(|answer| answer.stub()).collect();
    println!("one address served {counts}");
    assert!(counts.of("ec2") > 0 && counts.of("ecs") > 0);
}

/// No stop: weight changes and reloads over keep-alive connections, 0 errors. The binary upgrade comes later.
#[test]
fn field_misoca_2() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 70, ecs = 30"));
    let load = Load::start(kanaria.public, 8, sized(200, 500));
    for n in 0..20 {
        kanaria.admin.set_web(100 - n, n + 1);
        kanaria.signal(Signal::HUP);
        load.pass(sized(10, 1500));
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!("{} requests, {failed} failed, bound 0", shots.len());
    assert_eq!(failed, 0);
}

/// Share is weight over sum, 0 stops a pool.
#[test]
fn field_misoca_6() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 7, ecs = 3").quiet());
    let n = sized(10_000, 100_000);
    volley(kanaria.public, n, 8, |_| get("/", ""));
    let z = share_z(ecs.count(), n, 0.3);
    println!("{} of {n} at 3:7, z {z:.2}, bound 3.3", ecs.count());
    assert!(z.abs() < 3.3);
    kanaria.admin.set_web(7, 0);
    let before = ecs.count();
    volley(kanaria.public, 1000, 8, |_| get("/", ""));
    assert_eq!(ecs.count(), before);
}

/// From `kanaria rollback` to the last new request at the canary: under 1 s, and the journal says who and what.
#[test]
fn field_misoca_7() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 5, ecs = 95"));
    let load = Load::start(kanaria.public, 8, sized(200, 1000));
    load.pass(100);
    let began = Instant::now();
    let outcome = kanaria.run(&["rollback", "--reason", "checkout broken"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    load.pass(200);
    load.stop();
    let last = ecs.seen().last().map(|seen| seen.at).unwrap();
    let took = last.saturating_duration_since(began);
    println!("last request at the canary {took:?} after the start of the command, bound 1 s");
    assert!(took < Duration::from_secs(1));
    let newest = kanaria.admin.get("/api/v1/history?limit=1").to_string();
    assert!(
        newest.contains("local") && newest.contains("checkout broken"),
        "{newest}"
    );
}

/// Mistyped numbers are refused and change nothing.
#[test]
fn field_misoca_8() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5").route("max_step = 10");
    let kanaria = Kanaria::start(&file);
    let revision = kanaria.admin.revision();
    let bad = [
        r#"{"weights":{"ec2":0,"ecs":0}}"#,
        r#"{"weights":{"ec2":95,"ecs":-5}}"#,
        r#"{"weights":{"ec2":95,"ecs":5.5}}"#,
        r#"{"weights":{"ec2":95,"ecs":"5"}}"#,
        r#"{"weights":{"ec2":95,"ecs":1000001}}"#,
        r#"{"weights":{"ec2":95,"ecs":99999999999999999999}}"#,
        r#"{"weights":{"ec2":95,"ecs":null}}"#,
        r#"{"weights":{"ec2":95}}"#,
        r#"{"weights":{"ecs":5}}"#,
        r#"{"weights":{}}"#,
        r#"{"weights":[95,5]}"#,
        r#"{"weights":{"ec2":95,"ecs":5,"ecx":1}}"#,
        r#"{"weights":{"ec2":95,"EC2":5}}"#,
        r#"{"weights":{"ec2":50,"ecs":50}}"#,
        r#"{"weights":{"ec2":1000000,"ecs":1}}"#,
        r#"{"weights":{"ec2":95,"ecs":5},"forse":true}"#,
        r#"{"weight":{"ec2":95,"ecs":5}}"#,
        r#"{"weights":{"ec2":95,"ecs":5}"#,
        r#"[]"#,
        "95:5",
    ];
    for body in bad {
        let answer = kanaria
            .admin
            .call("PUT", "/api/v1/routes/web/weights", "", body);
        assert!(
            (400..500).contains(&answer.status),
            "{body}: {}",
            answer.status
        );
        assert!(
            answer.text().contains("detail"),
            "{body}: {}",
            answer.text()
        );
    }
    assert_eq!(kanaria.admin.revision(), revision);
    let forced = r#"{"weights":{"ec2":50,"ecs":50},"force":true}"#;
    let answer = kanaria
        .admin
        .call("PUT", "/api/v1/routes/web/weights", "", forced);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Above ECS's own swaps of blue and green: ten of them by file at 90:10, 0 errors, the share untouched.
#[test]
fn field_misoca_10_by_file() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = (Stub::start("blue"), Stub::start("green"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ecs.json"), list(&[&blue])).unwrap();
    let file = found(&ec2, &[], "file = \"ecs.json\"", "ec2 = 90, ecs = 10");
    let kanaria = Kanaria::start_in(folder, &file);
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    for n in 0..10 {
        let (old, new) = [(&blue, &green), (&green, &blue)][n % 2];
        replace(&kanaria, &list(&[new]));
        let before = new.count();
        until("the new targets are used", || {
            (new.count() > before).then_some(())
        });
        load.pass(20);
        let seen = old.count();
        load.pass(sized(100, 2000));
        assert_eq!(old.count(), seen, "swap {n}: the old targets get no more");
    }
    swapped(&load.stop(), "ten swaps by file");
}

/// Per-request shares and stable users at 1 %, every minute of the run.
#[test]
fn field_misoca_11() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 99, ecs = 1").quiet());
    let minute = 500;
    for number in 0..sized(6, 60) {
        let before = ecs.count();
        volley(kanaria.public, minute, 4, |_| get("/", ""));
        let hits = ecs.count() - before;
        // The two-sided 99.9 % interval of 500 draws at 1 %.
        assert!(hits <= 14, "minute {number}: {hits} of {minute}");
    }
    let mut client = kanaria.client();
    let mut jar = Jar::default();
    let first = jar.visit(&mut client, "/").stub().to_owned();
    assert!((0..200).all(|_| jar.visit(&mut client, "/").stub() == first));
}

/// A pool that dies in the middle of an answer hurts that answer only.
#[test]
fn field_misoca_5_manual() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| {
        if exchange.before % 2 == 1 {
            return Ok(After::Reset);
        }
        exchange.answer("500 Internal Server Error", "", b"")
    });
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let answers = volley(kanaria.public, 400, 4, |_| get("/", ""));
    let hurt = answers.iter().filter(|answer| answer.status != 200).count();
    println!("{hurt} of 400 hurt at 5 %");
    assert!(hurt <= 40);
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    let answers = volley(kanaria.public, 200, 4, |_| get("/", ""));
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.stub() == "ec2")
    );
}

/// Blue and green are swapped ten times by the admin API at 90:10 under load: nothing fails, the share stays.
#[test]
fn field_misoca_10_by_api() {
    let (ec2, blue) = (Stub::start("ec2"), Stub::start("blue"));
    let green = Stub::start("green");
    let kanaria = Kanaria::start(&File::split(&ec2, &blue, "ec2 = 90, ecs = 10"));
    let load = Load::start(kanaria.public, 8, sized(400, 1000));
    let (path, step) = ("/api/v1/pools/ecs/targets", sized(150, 3000));
    load.pass(step);
    let mut colors = [&blue, &green];
    let (mut without_blue, mut without_green) = (Vec::new(), Vec::new());
    for n in 0..10 {
        let [old, new] = colors;
        kanaria
            .admin
            .post(path, &json!({ "targets": [new.address], "reason": "swap" }));
        let old_path = format!("{path}/{}", old.address);
        let answer = kanaria.admin.call("DELETE", &old_path, "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let from = Instant::now();
        load.pass(step);
        let without = if n % 2 == 0 {
            &mut without_blue
        } else {
            &mut without_green
        };
        without.push(from..Instant::now());
        colors = [new, old];
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    let counts: Counts = shots.iter().map(|shot| shot.stub.as_str()).collect();
    let z = share_z(counts.of("blue") + counts.of("green"), shots.len(), 0.1);
    let late = strays(&shots, &blue, &without_blue) + strays(&shots, &green, &without_green);
    println!(
        "10 swaps, {counts}; {failed} failed, {late} at the old color, bounds 0; z {z:.2}, bound 3.3"
    );
    assert_eq!((failed, late), (0, 0));
    assert!(z.abs() < 3.3);
    assert!(counts.of("blue") > 0 && counts.of("green") > 0);
}
