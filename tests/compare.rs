//! `kanaria compare` and its call: pools beside each other, marks, and what is refused.

use crate::support::{File, Kanaria, Stub, get, volley};

#[test]
fn pools_are_told_beside_each_other_with_what_was_changed() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |exchange| match exchange.path() {
        "/gone" => exchange.answer("404 Not Found", "", b""),
        _ => exchange.plain(),
    });
    let partitions = "[partitions.hosts]\n\"*.blogs.test\" = \"blogs\"\n";
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").before(partitions));
    volley(kanaria.public, 200, 4, |n| {
        let path = if n % 4 == 0 { "/gone" } else { "/" };
        let host = if n % 2 == 0 { "a.blogs.test" } else { "b.test" };
        get(path, &format!("Host: {host}\r\n"))
    });
    let log = kanaria.log_of(200);
    kanaria.admin.set_web(60, 40);
    ecs.die();
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    let log = [log, kanaria.log_of(250)[200..].to_vec()].concat();
    let comparison = kanaria.admin.get("/api/v1/routes/web/compare?window=5m");
    for (position, pool) in ["ec2", "ecs"].iter().enumerate() {
        // What stable served in the canary's place is charged to the canary.
        let charged = log.iter().filter(|line| {
            line["switched_from"]
                .as_str()
                .or_else(|| line["pool"].as_str())
                == Some(*pool)
        });
        let figures = &comparison["pools"][position];
        assert_eq!(figures["pool"], *pool);
        assert_eq!(figures["requests"], charged.count() as u64, "{pool}");
        let of_partitions = figures["partitions"].as_object().unwrap().values();
        let sum: u64 = of_partitions.filter_map(|it| it["requests"].as_u64()).sum();
        assert_eq!(figures["requests"], sum);
    }
    let ecs = &comparison["pools"][1];
    let refused = log.iter().filter(|line| line["status"] == 404).count() as u64;
    assert_eq!(ecs["refused"]["n"], refused);
    let failed_over = log.iter().filter(|line| line["reason"] == "failover");
    assert_eq!(ecs["unanswered"]["n"], failed_over.count() as u64);
    assert!(ecs["refused"]["more_low"].as_f64().unwrap() > 0.0, "{ecs}");
    let marks = comparison["marks"].as_array().unwrap();
    assert_eq!(marks[0]["kind"], "weights");
    assert_eq!(
        comparison["paths"][0]["harmed"], true,
        "{}",
        comparison["paths"]
    );
    let told = kanaria.run(&["compare", "web", "--window", "5m"]);
    for word in [
        "ecs harms",
        "ecs more",
        "/gone",
        "blogs",
        "ec2 50→60",
        "was changed",
    ] {
        assert!(told.stdout.contains(word), "{word}: {}", told.stdout);
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_is_allowed() {
    let ec2 = Stub::start("ec2");
    let own =
        "[[routes]]\nname = \"own\"\nmatch = { path = [\"/own\"] }\nrespond = { status = 503 }\n";
    let kanaria = Kanaria::start(&File::single(&ec2).before(own));
    let ask = |path: &str| {
        let path = format!("/api/v1/routes/{path}");
        let answer = kanaria.admin.call("GET", &path, "", "");
        (answer.status, answer.text())
    };
    for (path, status, word) in [
        ("web/compare?window=10s", 422, "from 1m to 1h"),
        ("web/compare?window=2h", 422, "from 1m to 1h"),
        ("web/compare?window=x", 422, "window"),
        ("web/compare?since=1m", 422, "there is only window"),
        ("none/compare", 404, "web"),
        ("own/compare", 404, "answers by itself"),
    ] {
        let (found, text) = ask(path);
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.contains(word), "{path}: {text}");
    }
    // One pool has nobody beside it, and is told all the same.
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    kanaria.log_of(20);
    let comparison = kanaria.run_json(&["compare", "web"]);
    assert_eq!(comparison["pools"][0]["requests"], 20);
    assert_eq!(kanaria.run(&["compare", "none"]).code, Some(1));
}

#[test]
fn an_annotation_is_a_revision_of_its_own_in_which_no_weight_changes() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let kanaria = Kanaria::start(&file);
    let weights = |kanaria: &Kanaria| kanaria.admin.get("/api/v1/routes/web")["weights"].clone();
    let (before, revision) = (weights(&kanaria), kanaria.admin.revision());
    let note = [
        "annotate",
        "ecs: deployed 4f3c2d1",
        "--route",
        "web",
        "--reason",
        "ticket 7",
    ];
    let told = kanaria.run(&note);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.stdout.contains("noted; no weight changed"),
        "{}",
        told.stdout
    );
    kanaria.run_json(&["annotate", "ec2: a disk is full"]);
    assert_eq!(kanaria.admin.revision(), revision + 2);
    assert_eq!(weights(&kanaria), before);

    let history = kanaria.admin.get("/api/v1/history?limit=2");
    assert_eq!(history[1]["kind"], "annotate");
    assert_eq!(
        (&history[1]["actor"], &history[1]["reason"]),
        (&"local".into(), &"ticket 7".into())
    );
    assert_eq!(history[1]["annotation"]["text"], "ecs: deployed 4f3c2d1");
    let told = kanaria.run(&["history"]);
    assert!(
        told.stdout.contains("web: \"ecs: deployed 4f3c2d1\""),
        "{}",
        told.stdout
    );
    let marks = kanaria.run_json(&["compare", "web"])["marks"].clone();
    assert_eq!(marks[0]["annotation"]["text"], "ec2: a disk is full");
    assert_eq!(marks[1]["annotation"]["route"], "web");

    for (arguments, code) in [
        (&["annotate", "x", "--route", "none"][..], 1),
        (&["annotate", " "], 1),
        (&["annotate", "x", "--if-revision", "1"], 1),
        (&["annotate"], 64),
        (&["annotate", "x", "--dry-run"], 0),
    ] {
        assert_eq!(kanaria.run(arguments).code, Some(code), "{arguments:?}");
    }
    assert_eq!(kanaria.admin.revision(), revision + 2);

    // It is as durable as every other change.
    let kanaria = Kanaria::start_there(kanaria.kill(), &[]);
    assert_eq!(kanaria.admin.revision(), revision + 2);
    assert_eq!(kanaria.admin.get("/api/v1/history?limit=2"), history);
    assert_eq!(
        kanaria
            .run(&["history", "verify", "--state-dir", "state"])
            .code,
        Some(0)
    );
}
