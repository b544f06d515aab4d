//! What watches kanaria from outside: the exposition as Prometheus judges it, the alerts and the dashboard that are shipped.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::messages::{Family, Histogram, families};
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

/// All series of a histogram.
fn histograms(family: &Family) -> Vec<&Histogram> {
    let metrics = family.metrics.iter();
    metrics
        .filter_map(|metric| metric.histogram.as_ref())
        .collect()
}

/// The exact quantile of `values` is in the native bucket that all `histograms` together have it in.
#[track_caller]
fn check_quantile(what: &str, q: f64, histograms: &[&Histogram], values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    let exact = values[rank - 1];
    let mut buckets: Vec<_> = histograms.iter().flat_map(|it| it.native()).collect();
    buckets.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut below = 0;
    let found = buckets.iter().find(|(.., count)| {
        below += *count as usize;
        below >= rank
    });
    let &(from, to, _) = found.expect("every request is in a bucket");
    println!(
        "{what}, quantile {q}: {exact} s by the log, {from} to {to} s by native buckets; bound: within"
    );
    // The log has microseconds.
    assert!(exact >= from - 1e-6 && exact <= to + 1e-6);
    assert!(from == 0.0 || to / from < 1.091);
}

#[test]
fn who_takes_native_histograms_gets_them_and_they_agree_with_the_text_and_the_log() {
    // From under a millisecond to half a second.
    let target = Stub::with("ec2", |exchange| {
        let path = exchange.path().trim_start_matches('/');
        let doublings = path.parse::<u32>().unwrap_or(0) % 10;
        std::thread::sleep(Duration::from_millis((1 << doublings) - 1));
        exchange.plain()
    });
    let kanaria = Kanaria::start(&File::single(&target));
    let n = 300;
    volley(kanaria.public, n, 8, |n| get(&format!("/{n}"), ""));
    let log = kanaria.log_of(n);
    let (text, shown) = (kanaria.admin.metrics(), families(&kanaria.admin.messages()));
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: BTreeSet<_> = types.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(types, shown.keys().map(String::as_str).collect());
    let requests = &shown["kanaria_requests_total"].metrics;
    let counted: f64 = requests
        .iter()
        .filter_map(|it| Some(it.counter.as_ref()?.value))
        .sum();
    assert_eq!(counted, n as f64);
    for (name, field) in [
        ("kanaria_request_duration_seconds", "duration_s"),
        ("kanaria_upstream_duration_seconds", "upstream_ttfb_s"),
    ] {
        let histograms = histograms(&shown[name]);
        for histogram in &histograms {
            let native: u64 = histogram.native().iter().map(|(.., count)| count).sum();
            assert_eq!(native, histogram.count);
            let last = histogram.classic.last().expect("there are some");
            assert_eq!((last.bound, last.count), (f64::INFINITY, histogram.count));
        }
        let sum: f64 = histograms.iter().map(|it| it.sum).sum();
        assert!((sum - kanaria.admin.metric(&format!("{name}_sum"), &[])).abs() < 1e-9);
        let count: u64 = histograms.iter().map(|it| it.count).sum();
        assert_eq!(
            count as f64,
            kanaria.admin.metric(&format!("{name}_count"), &[])
        );
        let mut values: Vec<_> = log.iter().filter_map(|line| line[field].as_f64()).collect();
        assert_eq!(values.len(), n);
        for q in [0.1, 0.5, 0.9, 0.99] {
            check_quantile(name, q, &histograms, &mut values);
        }
    }
}
