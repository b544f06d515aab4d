//! What watches kanaria from outside: the exposition as Prometheus judges it, the alerts and the dashboard that are shipped.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{File, Kanaria, Stub, get, volley};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy")
}

/// Runs `promtool`, if it is here; it comes with Prometheus.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(deploy())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("no promtool is found: {arguments:?} is not checked here");
        return None;
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    Some(child.wait_with_output().expect("the child is ours"))
}

#[track_caller]
fn clean(output: &Output) {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
}

#[test]
fn promtool_has_nothing_to_say_about_the_exposition() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let logs = "[[access_log]]\npath = \"stdout\"\n";
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").after(logs));
    volley(kanaria.public, 60, 4, |_| get("/", ""));
    let _ = kanaria.client().try_call("BAD\r\n\r\n");
    ecs.die();
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    kanaria
        .admin
        .post("/api/v1/rollback", &serde_json::json!({}));
    let Some(output) = promtool(&["check", "metrics"], &kanaria.admin.metrics()) else {
        return;
    };
    clean(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "promtool complains");
}

#[test]
fn the_alerts_are_valid_and_act_as_their_tests_say() {
    for arguments in [
        &["check", "rules", "prometheus-rules.yaml"][..],
        &["test", "rules", "prometheus-rules.test.yaml"],
    ] {
        if let Some(output) = promtool(arguments, "") {
            clean(&output);
        }
    }
}

/// Names of ours in a text; a histogram has several.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    let ours = words.filter(|word| word.starts_with("kanaria_"));
    let plain = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| word.strip_suffix(part));
        part.unwrap_or(word).to_owned()
    };
    ours.map(plain).collect()
}

#[test]
fn alerts_and_dashboard_name_series_that_there_are() {
    let page = std::fs::read_to_string(deploy().join("../metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let known: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
    for file in [
        "prometheus-rules.yaml",
        "prometheus-rules.test.yaml",
        "grafana-dashboard.json",
    ] {
        let text = std::fs::read_to_string(deploy().join(file)).unwrap();
        let named = names(&text);
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !known.contains(&***name))
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(named.len() >= 5, "{file} names {named:?}");
    }
}

#[test]
fn the_dashboard_has_panels_that_ask_something_and_numbers_of_their_own() {
    let text = std::fs::read_to_string(deploy().join("grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let numbers: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(numbers.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let open = expression.matches('(').count();
            assert_eq!(open, expression.matches(')').count(), "{expression}");
        }
    }
}

#[test]
fn bytes_are_counted_as_the_log_says() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    volley(kanaria.public, 100, 4, |n| get(&format!("/{n}"), ""));
    let log = kanaria.log_of(100);
    for (name, field) in [("received", "bytes_in"), ("sent", "bytes_out")] {
        for pool in ["ec2", "ecs"] {
            let lines = log.iter().filter(|line| line["pool"] == pool);
            let bytes: u64 = lines.filter_map(|line| line[field].as_u64()).sum();
            let label = format!("pool=\"{pool}\"");
            let metric = format!("kanaria_{name}_bytes_total");
            assert_eq!(kanaria.admin.metric(&metric, &[&label]) as u64, bytes);
        }
    }
    assert_eq!(kanaria.admin.metric("kanaria_requests_in_flight", &[]), 0.0);
}

#[test]
fn the_command_prints_what_is_counted_for_prometheus_for_programs_and_for_mackerel() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    volley(kanaria.public, 10, 2, |_| get("/", ""));
    kanaria.log_of(10);
    let plain = kanaria.run(&["metrics"]);
    assert!(
        plain.stdout.contains("\nkanaria_requests_total{"),
        "{}",
        plain.stdout
    );
    let samples = kanaria.run_json(&["metrics"]);
    let counted = samples.as_array().unwrap().iter();
    let counted = counted.filter(|it| it["name"] == "kanaria_requests_total");
    assert_eq!(
        counted.filter_map(|it| it["value"].as_f64()).sum::<f64>(),
        10.0
    );
    let mackerel = kanaria.run(&["metrics", "--format", "mackerel"]);
    let line = mackerel
        .stdout
        .lines()
        .find(|line| line.starts_with("kanaria.requests.200."));
    let words: Vec<_> = line.unwrap().split('\t').collect();
    assert_eq!(
        words[..2],
        ["kanaria.requests.200.main.ec2.weight.web", "10"]
    );
    let now: i64 = words[2].parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - now).abs() < 60);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.\t".contains(c);
    assert!(
        mackerel
            .stdout
            .lines()
            .all(|line| line.chars().all(allowed)),
        "{}",
        mackerel.stdout
    );
}
