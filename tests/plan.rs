//! `kanaria plan`: what it foretells is what comes, once the new file is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{File, Kanaria, Stub, get, lines_of_all, sized, until, volley};

/// Places of the clients in the lines of `/u...`, by pool.
fn places(lines: &[Value]) -> BTreeMap<String, (u64, String)> {
    let told = lines.iter().filter_map(|line| {
        let pool = line["pool"].as_str()?.to_owned();
        Some((
            line["path"].as_str()?.to_owned(),
            (line["bucket"].as_u64()?, pool),
        ))
    });
    told.collect()
}

#[test]
fn a_plan_foretells_who_moves_and_the_shares_of_a_real_run() {
    let [ec2, ecs] = ["ec2", "ecs"].map(|name| {
        Stub::with(name, |exchange| {
            let asked = format!("Asked: {}\r\n", exchange.path());
            exchange.answer("200 OK", &asked, b"")
        })
    });
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let kanaria = Kanaria::start(&file);
    let n = sized(2_000, 20_000);
    let answers = volley(kanaria.public, n, 8, |n| get(&format!("/u{n}"), ""));
    kanaria.log_of(n);
    // Live weights, which are not those of the file in force.
    kanaria.admin.set_web(90, 10);
    std::fs::write(
        kanaria.path("new.toml"),
        file.weights("ec2 = 70, ecs = 30").text(),
    )
    .unwrap();
    let began = Instant::now();
    let plan = ["plan", "new.toml", "--replay", "access.json"];
    let report = kanaria.run_json(&plan);
    println!("{n} lines in {:?}", began.elapsed());
    assert_eq!(report["requests"], n as u64);
    assert_eq!(report["revision"], kanaria.admin.revision());
    let moved = report["users_moved"].as_u64().unwrap();
    let share = report["shares"][1]["users_after"].as_f64().unwrap();

    // The clients of the log come back, first under the live weights, then under the new file.
    let cookies = answers.iter().map(|answer| {
        let head = |name| answer.head.get(name).expect("every answer has it");
        let cookie = head("set-cookie").split(';').next().expect("a cookie");
        (head("asked").to_owned(), cookie.to_owned())
    });
    let cookies: Vec<_> = cookies.collect();
    let come_back = |n_before: usize| {
        volley(kanaria.public, cookies.len(), 8, |n| {
            let (path, cookie) = &cookies[n];
            get(path, &format!("Cookie: {cookie}\r\n"))
        });
        places(&kanaria.log_of(n_before + cookies.len())[n_before..])
    };
    let before = come_back(n);
    let text = std::fs::read_to_string(kanaria.path("new.toml")).unwrap();
    kanaria.rewrite(&text);
    kanaria.admin.post("/api/v1/reload", &serde_json::json!({}));
    let after = come_back(n + cookies.len());
    let changed = before
        .iter()
        .filter(|(path, (_, pool))| after[*path].1 != *pool);
    let changed: BTreeSet<u64> = changed.map(|(_, (bucket, _))| *bucket).collect();
    let all: BTreeSet<u64> = after.values().map(|(bucket, _)| *bucket).collect();
    let on_ecs = after.values().filter(|(_, pool)| pool == "ecs");
    let on_ecs: BTreeSet<u64> = on_ecs.map(|(bucket, _)| *bucket).collect();
    let real = on_ecs.len() as f64 / all.len() as f64;
    println!(
        "foretold: {moved} places move, share {share:.4}; real: {} and {real:.4}; bounds 0 and 0.001",
        changed.len()
    );
    assert_eq!(changed.len() as u64, moved);
    assert!((real - share).abs() <= 0.001);
}

#[test]
fn a_plan_of_alb_lines_and_its_exit_codes() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let alb = "[[access_log]]\npath = \"access.alb\"\nformat = \"alb\"\n";
    let file = File::split(&ec2, &ecs, "ec2 = 100, ecs = 0").after(alb);
    let mut kanaria = Kanaria::start(&file);
    volley(kanaria.public, 50, 2, |n| get(&format!("/{n}?x=\"y\""), ""));
    kanaria.signal(Signal::TERM);
    kanaria.wait();
    let moved = file.clone().weights("ec2 = 0, ecs = 1").text();
    std::fs::write(kanaria.path("new.toml"), moved).unwrap();
    let plan = |arguments: &[&str]| {
        let mut all = vec!["plan", "new.toml", "--replay", "access.alb"];
        all.extend(arguments);
        kanaria.run(&all)
    };
    let outcome = plan(&[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.stdout.starts_with("50 requests of 50 lines"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("web ec2  web ecs        50"),
        "{}",
        outcome.stdout
    );
    assert_eq!(plan(&["--detailed-exitcode"]).code, Some(2));
    assert_eq!(plan(&["--max-moved-users", "5%"]).code, Some(1));
    std::fs::write(kanaria.path("new.toml"), file.text()).unwrap();
    assert_eq!(plan(&["--detailed-exitcode"]).code, Some(0));
    std::fs::write(kanaria.path("new.toml"), "nonsense = 1").unwrap();
    assert_eq!(plan(&[]).code, Some(78));
    assert_eq!(plan(&["-c", "missing.toml"]).code, Some(78));
    let none = kanaria.run(&["plan", "kanaria.toml", "--replay", "kanaria.toml"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("no access log"), "{}", none.stderr);
}

/// A latched route keeps its canary back: the new file does not raise it, and the plan says so.
#[test]
fn a_plan_knows_what_a_rollback_holds_back() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let kanaria = Kanaria::start(&file);
    volley(kanaria.public, 40, 2, |_| get("/", ""));
    kanaria.log_of(40);
    kanaria
        .admin
        .post("/api/v1/rollback", &serde_json::json!({}));
    std::fs::write(
        kanaria.path("new.toml"),
        file.weights("ec2 = 0, ecs = 1").text(),
    )
    .unwrap();
    let report = until("the change is in the journal", || {
        let report = kanaria.run_json(&["plan", "new.toml", "--replay", "access.json"]);
        (report["revision"] == kanaria.admin.revision()).then_some(report)
    });
    assert_eq!(report["users_moved"], 0, "{report}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("web"), "{notes}");
}

/// Lines of some revisions in several files; `explain` has many lines of many.
#[test]
fn a_request_is_explained_from_its_line_by_the_revision_that_decided() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let rotate = "[[access_log]]\npath = \"a.json\"\nrotate = { size = \"8KiB\", keep = 1000 }\n";
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5")
        .quiet()
        .after(rotate);
    let kanaria = Kanaria::start(&file);
    let n_revisions = 10;
    for revision in 0..n_revisions as u32 {
        kanaria.admin.set_web(100 - revision, revision + 1);
        volley(kanaria.public, 20, 4, |_| get("/a?b=c", ""));
    }
    let n = n_revisions * 20;
    until("all lines are written", || {
        let lines = kanaria.admin.metric("kanaria_access_log_lines_total", &[]);
        (lines == n as f64).then_some(())
    });
    let lines = lines_of_all(&kanaria.path("a.json"));
    for line in lines.iter().step_by(17) {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["request_id"].as_str().unwrap();
        let again = kanaria.run_json(&["explain", "--request-id", id]);
        assert_eq!(again["agrees"], true, "{again}");
        assert_eq!(again["logged"]["revision"], line["revision"]);
        for key in ["route", "pool", "reason", "bucket"] {
            assert_eq!(again["decision"][key], line[key], "{key}: {again}");
        }
    }
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    let id = first["request_id"].as_str().unwrap();
    let told = kanaria.run(&["explain", "--request-id", id]);
    assert!(
        told.stdout.contains("the same as logged"),
        "{}",
        told.stdout
    );
    let unknown = kanaria.run(&["explain", "--request-id", "nobody"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no line of"), "{}", unknown.stderr);
    for (log, text, why) in [
        ("missing.json", None, "missing.json: No such file"),
        (
            "other.json",
            Some(r#"{"request_id":"x"}"#),
            "none of an access log",
        ),
        ("old.json.gz", Some(""), "is compressed"),
    ] {
        text.inspect(|text| std::fs::write(kanaria.path(log), text).unwrap());
        let outcome = kanaria.run(&["explain", "--request-id", "x", "--log", log]);
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    }
}
