//! GREE: weighted groups with stickiness.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pair;
use crate::change::{changes, outdated};
use crate::cookies::{conflicts, gree, log_in, paste};
use crate::support::{File, Jar, Kanaria, Load, Stub, get, request, share_z, sized, volley};

/// Application cookies pass in order, duplicates kept, several Set-Cookie lines stay separate.
#[test]
fn field_gree_12() {
    let lines = "Set-Cookie: sess=1; Path=/\r\nSet-Cookie: sess=2; Domain=example.com\r\n";
    let ec2 = Stub::with("ec2", move |exchange| exchange.answer("200 OK", lines, b""));
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    let sent = "sess=a; sess=b;  x=\"1, 2\"; e=; kanaria=AAAAAAAAAAAAAAAAAAAAAA; last=1";
    let answer = client.call(get("/", &format!("Cookie: {sent}\r\n")));
    let arrived = ec2.last().head;
    assert_eq!(
        arrived.get("cookie"),
        Some("sess=a; sess=b;  x=\"1, 2\"; e=; last=1")
    );
    let set: Vec<_> = answer.head.all("set-cookie").collect();
    assert_eq!(set, ["sess=1; Path=/", "sess=2; Domain=example.com"]);
}

/// No user changes sides at constant weights, so a form and its submit meet the same framework.
#[test]
fn field_gree_13() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").quiet());
    let mut client = kanaria.client();
    let mut changes = 0;
    for _ in 0..sized(300, 1000) {
        let mut jar = Jar::default();
        let form = jar.visit(&mut client, "/form").stub().to_owned();
        let submit = client.call(request("POST", "/form", &jar.line(), "token=1"));
        changes += usize::from(submit.stub() != form);
    }
    println!("{changes} changed sides, bound 0");
    assert_eq!(changes, 0);
}

/// A migration tried out beforehand: what `kanaria simulate` says of each client, request by request, is what the router
/// then does, at every step of the ramp and after the way back.
#[test]
fn field_gree_14() {
    let (ec2, ecs) = pair();
    let steps = [10, 30, 60].map(|percent| format!("{{ percent = {percent}, hold = '5m' }}"));
    let ramp = format!(
        "[routes.guard]\n[routes.ramp]\nsteps = [{}]\nrequire_evidence = false",
        steps.join(", ")
    );
    let file = File::split(&ec2, &ecs, "ec2 = 100, ecs = 0")
        .route(&ramp)
        .quiet();
    let kanaria = Kanaria::start(&file);
    let scenario = format!(
        "length = '25m'\nclients = {{ count = {}, stay = '20m', cookieless = 0 }}\ntraffic = {{ rps = 4, swing = 0 }}\n\
         operator = {{ start = '5m', cold = true }}\n[[harm]]\nstep = 3\nfrom = '2m'\nerrors = 0.5",
        sized(300, 3_000)
    );
    std::fs::write(kanaria.path("scenario.toml"), scenario).unwrap();
    let report = kanaria.run_json(&[
        "simulate",
        "--scenario",
        "scenario.toml",
        "--requests",
        "requests.jsonl",
    ]);
    let foretold = std::fs::read_to_string(kanaria.path("requests.jsonl")).unwrap();
    let foretold: Vec<Value> = foretold
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut changes = [
        ["ramp", "start", "web", "--cold"].as_slice(),
        &["ramp", "advance", "web"],
        &["ramp", "advance", "web"],
        &["rollback", "web"],
    ]
    .into_iter();
    let (mut client, mut revision) = (kanaria.client(), foretold[0]["revision"].clone());
    let (mut others, mut on_ecs, mut moved) = (0, 0, [0, 0]);
    let mut places: HashMap<u64, bool> = HashMap::new();
    for line in &foretold {
        if std::mem::replace(&mut revision, line["revision"].clone()) != line["revision"] {
            let outcome = kanaria.run(changes.next().expect("as many changes as steps"));
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
        }
        let cookie = format!("Cookie: kanaria={}\r\n", line["id"].as_str().unwrap());
        let answer = client.call(get("/", &cookie));
        let is_ecs = answer.stub() == "ecs";
        others += usize::from(answer.stub() != line["pool"]);
        on_ecs += usize::from(is_ecs);
        let before = places.insert(line["client"].as_u64().unwrap(), is_ecs);
        if before.is_some_and(|before| before != is_ecs) {
            moved[usize::from(is_ecs)] += 1;
        }
    }
    let summary = &report["summary"];
    println!(
        "{} requests of {} clients: {others} went elsewhere than simulated, bound 0; {on_ecs} on ecs, {moved:?} steps back and \
         forth; simulated {summary}",
        foretold.len(),
        places.len()
    );
    assert_eq!(
        (others, changes.next()),
        (0, None),
        "all of the schedule, and the way back"
    );
    assert_eq!(summary["canary_requests"], on_ecs);
    assert_eq!(summary["moved_back"], moved[0]);
    assert_eq!(summary["moved_to_canary"], moved[1]);
    assert!(moved.iter().all(|moved| *moved > 5));
}

/// No request that arrives after the answer is routed by the old table.
#[test]
fn field_gree_15() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 70, ecs = 30"));
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    let answered = changes(&kanaria, &load, sized(20, 100), 10);
    load.pass(50);
    let shots = load.stop();
    let outdated = outdated(&kanaria, &shots, &answered);
    let slowest = answered.iter().map(|change| change.took).max().unwrap();
    println!(
        "{} requests, {outdated} outdated, slowest change {slowest:?}, goal 50 ms",
        shots.len()
    );
    assert_eq!(outdated, 0);
}

/// 0.1 % and 0.01 %, honest.
#[test]
fn field_gree_16() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 999, ecs = 1").quiet());
    let n = sized(10_000, 1_000_000);
    for (stable, share) in [(999, 0.001), (9999, 0.0001)] {
        kanaria.admin.set_web(stable, 1);
        let before = ecs.count();
        volley(kanaria.public, n, 8, |_| get("/", ""));
        let hits = ecs.count() - before;
        let z = share_z(hits, n, share);
        println!("{hits} of {n} at {share}, z {z:.2}, bound 3.3");
        assert!(z.abs() < 3.3);
    }
}

/// Weight 0 evicts pinned clients at once, on open connections.
#[test]
fn field_gree_17() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").quiet());
    let mut pinned: Vec<_> = (0..sized(150, 500))
        .map(|_| (kanaria.client(), Jar::default()))
        .collect();
    for (client, jar) in &mut pinned {
        assert_eq!(jar.visit(client, "/").stub(), "ecs");
    }
    // Old shape: an ALB's stickiness keeps all of them while their cookie lives.
    let kept_by_an_alb = pinned.len();
    kanaria.admin.set_web(1, 0);
    let answered = Instant::now();
    for (client, jar) in &mut pinned {
        let answer = jar.visit(client, "/");
        assert_eq!((answer.status, answer.stub()), (200, "ec2"));
    }
    let late = ecs.seen().iter().filter(|seen| seen.at > answered).count();
    println!(
        "an ALB keeps {kept_by_an_alb} of {kept_by_an_alb}; here {late} requests came late, bound 0"
    );
    assert_eq!(late, 0);
}

/// One lifetime of the cookie, stated.
#[test]
fn field_gree_19() {
    let (ec2, ecs) = pair();
    let file =
        File::split(&ec2, &ecs, "ec2 = 1, ecs = 1").route("[routes.sticky]\nmax_age = \"7d\"");
    let kanaria = Kanaria::start(&file);
    let answer = kanaria.client().call(get("/", ""));
    let line = answer.head.get("set-cookie").unwrap();
    assert!(
        line.contains("Max-Age=604800") && !line.contains("Expires"),
        "{line}"
    );
}

/// The share is reached with the change: 1 to 10 %, the first 1 % stay, nobody moves back.
#[test]
fn field_gree_20() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 99, ecs = 1").quiet());
    let mut client = kanaria.client();
    let n = sized(2_000, 10_000);
    let mut jars = vec![Jar::default(); n];
    let mut visit = |jars: &mut Vec<Jar>| -> Vec<bool> {
        jars.iter_mut()
            .map(|jar| jar.visit(&mut client, "/").stub() == "ecs")
            .collect()
    };
    let before = visit(&mut jars);
    kanaria.admin.set_web(90, 10);
    let after = visit(&mut jars);
    let count = |on: &[bool]| on.iter().filter(|on| **on).count();
    let back = before
        .iter()
        .zip(&after)
        .filter(|(was, is)| **was && !**is)
        .count();
    println!(
        "{} then {} of {n}, {back} back",
        count(&before),
        count(&after)
    );
    assert_eq!(back, 0);
    assert!(share_z(count(&after), n, 0.1).abs() < 3.3);
    // 0.2 points of the promised 10,000 clients. Strata are dealt by each thread, so what is off does not grow with them.
    assert!(count(&after).abs_diff(n / 10) <= 20);
}

/// One command: the way back, with its time printed.
#[test]
fn field_gree_21() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut jar = Jar::default();
    let mut client = kanaria.client();
    assert_eq!(jar.visit(&mut client, "/").stub(), "ecs");
    let outcome = kanaria.run(&["rollback", "web"]);
    println!("rollback took {:?}, bound 1 s", outcome.took);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.took < Duration::from_secs(1));
    assert_eq!(jar.visit(&mut client, "/").stub(), "ec2");
}

/// Our own cookie can never conflict with an application's: no Domain, its own name.
#[test]
fn field_gree_23_own_cookie() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let answer = kanaria.client().call(get("/", "Host: www.example.com\r\n"));
    let line = answer.head.get("set-cookie").unwrap().to_ascii_lowercase();
    assert!(
        line.starts_with("kanaria=") && !line.contains("domain"),
        "{line}"
    );
}

/// Both environments set `sess`, one of them for the whole domain: the conflict is found within 100 answers, with what
/// will happen; and the rule that comes with it, pasted, ends it without logging anybody out.
#[test]
fn field_gree_23() {
    let (ec2, ecs) = gree();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    log_in(&kanaria, 100);
    let cookies = conflicts(&kanaria, 1);
    let finding = &cookies["findings"][0];
    println!("after 100 answers: {}", finding["sentence"]);
    assert_eq!(
        (&finding["what"], &finding["cookie"]),
        (&"scope".into(), &"sess".into())
    );
    let sentence = finding["sentence"].as_str().unwrap();
    assert!(sentence.contains("ec2 sets it for the domain example.com"));
    assert!(sentence.contains("ecs for the host www.example.com alone"));
    assert!(
        sentence.contains("a logout at ecs leaves the one of ec2, so the client stays logged in")
    );
    let fail_on = ["cookies", "web", "--fail-on", "conflict"];
    assert_eq!(kanaria.run(&fail_on).code, Some(1));
    let logged_out = || {
        let mut client = kanaria.client();
        let mut jar = Jar::default();
        kanaria.admin.set_web(1, 0);
        jar.visit(&mut client, "/login");
        kanaria.admin.set_web(0, 1);
        let seen = jar.visit(&mut client, "/").text();
        assert_eq!(seen, "sess=ec2-secret", "the login is shared");
        jar.visit(&mut client, "/login");
        let n_sessions = jar.count("sess");
        jar.visit(&mut client, "/logout");
        (n_sessions, jar.visit(&mut client, "/").text())
    };
    assert_eq!(
        logged_out(),
        (2, "sess=ec2-secret".to_owned()),
        "what users had"
    );
    paste(&kanaria, finding["rule"].as_str().unwrap());
    assert_eq!(logged_out(), (1, String::new()));
    kanaria.admin.set_web(1, 1);
    log_in(&kanaria, 100);
    conflicts(&kanaria, 0);
    let outcome = kanaria.run(&fail_on);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

/// Two environments set one session cookie, one of them for the whole domain: rules of the new side's pool give its
/// cookie another name and make browsers forget both of the old ones, without a change of either application.
#[test]
fn field_gree_24() {
    let (ec2, ecs) = gree();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").pool_keys(
        "ecs",
        "cookies.request.rename = { sess_ecs = \"sess\" }\n\
         cookies.response.rename = { sess = \"sess_ecs\" }\n\
         cookies.expire = [{ name = \"sess\", domains = [\"\", \"example.com\"] }]",
    );
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let mut jar = Jar::default();
    jar.visit(&mut client, "/login");
    // A cookie of the same name that an earlier attempt at the new side has left.
    jar.put("sess", "leftover");
    assert_eq!(jar.count("sess"), 2);
    kanaria.admin.set_web(0, 1);
    jar.visit(&mut client, "/login");
    assert_eq!(
        (jar.count("sess"), jar.get("sess_ecs")),
        (0, Some("ecs-secret"))
    );
    assert_eq!(jar.visit(&mut client, "/").text(), "sess=ecs-secret");
    jar.visit(&mut client, "/logout");
    assert_eq!((jar.count("sess"), jar.count("sess_ecs")), (0, 0));
    assert_eq!(jar.visit(&mut client, "/").text(), "");
}

/// Nothing is tied to EC2 or ECS but the names of the pools.
#[test]
fn field_gree_27() {
    let (php, go) = (Stub::start("php"), Stub::start("go"));
    let text = File::split(&php, &go, "ec2 = 50, ecs = 50").text();
    let folder = tempfile::tempdir().unwrap();
    let text = text.replace("ec2", "php").replace("ecs", "go");
    std::fs::write(folder.path().join("kanaria.toml"), text).unwrap();
    let kanaria = Kanaria::start_there(folder, &[]);
    volley(kanaria.public, 100, 2, |_| get("/", ""));
    assert!(php.count() > 0 && go.count() > 0);
    assert_eq!(kanaria.run(&["rollback"]).code, Some(0));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "php");
}
