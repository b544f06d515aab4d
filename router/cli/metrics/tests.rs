//! Metrics read back, and told to Mackerel.

use super::*;
use crate::client::stub::Stub;

const TEXT: &str = "# HELP kanaria_requests_total Finished.\n# TYPE kanaria_requests_total counter\n\
kanaria_requests_total{code=\"200\",pool=\"ecs\",route=\"\"} 120\n\
# TYPE kanaria_target_up gauge\nkanaria_target_up{pool=\"ecs\",target=\"10.0.0.1:80\"} 1\n\
# TYPE kanaria_config_info gauge\nkanaria_config_info{digest=\"a\\\"b\"} 1\n\
# TYPE kanaria_upstream_duration_seconds histogram\n\
kanaria_upstream_duration_seconds_bucket{pool=\"ecs\",le=\"0.01\"} 50\n\
kanaria_upstream_duration_seconds_bucket{pool=\"ecs\",le=\"0.1\"} 100\n\
kanaria_upstream_duration_seconds_bucket{pool=\"ecs\",le=\"+Inf\"} 100\n\
kanaria_upstream_duration_seconds_sum{pool=\"ecs\"} 3.5\n\
kanaria_upstream_duration_seconds_count{pool=\"ecs\"} 100\n";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn labels_are_read_as_they_were_meant() {
    let samples = exposition::read(TEXT);
    assert_eq!(samples.len(), 8);
    assert_eq!(samples[2].label("digest"), Some("a\"b"));
    assert_eq!(samples[5].kind, "histogram");
    assert!(exposition::read("no metric\n= x\n").is_empty());
}

#[test]
fn mackerel_gets_names_values_and_quantiles() {
    let text = for_mackerel(&exposition::read(TEXT), None, at(1000)).unwrap();
    let expected = "kanaria.requests.200.ecs.none\t120\t1000\nkanaria.target_up.ecs.10_0_0_1_80\t1\t1000\n\
        kanaria.upstream_duration_seconds_count.ecs\t100\t1000\n\
        kanaria.upstream_duration_seconds.ecs.p50\t0.01\t1000\nkanaria.upstream_duration_seconds.ecs.p90\t0.082\t1000\n\
        kanaria.upstream_duration_seconds.ecs.p99\t0.0982\t1000\n";
    assert_eq!(text, expected);
}

#[test]
fn what_grows_is_told_by_the_minute_once_there_is_a_past() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let tell = |text: &str, now: i64| {
        for_mackerel(&exposition::read(text), Some(&state), at(now)).unwrap()
    };
    let first = tell(TEXT, 1000);
    assert_eq!(first, "kanaria.target_up.ecs.10_0_0_1_80\t1\t1000\n");
    let second = tell(&TEXT.replace("} 120\n", "} 180\n"), 1030);
    assert!(
        second.contains("kanaria.requests.200.ecs.none\t120\t1030\n"),
        "{second}"
    );
    // No request in between: there is no quantile of nothing.
    assert!(!second.contains("p99"), "{second}");
    let restarted = tell(&TEXT.replace("} 120\n", "} 5\n"), 1060);
    assert!(!restarted.contains("requests"), "{restarted}");
    let nowhere = Path::new("/proc/none/state");
    assert!(for_mackerel(&[], Some(nowhere), at(1)).is_err());
}

/// `kanaria metrics` at these routers.
fn run(admin: &str, line: &str) -> Outcome {
    use crate::cli::ask::tests::{NO_PROGRAM, plain};
    let words = ["kanaria", "metrics", "--admin", admin].into_iter();
    let words = words.chain(line.split(' ').filter(|word| !word.is_empty()));
    let arguments = crate::cli::Arguments::read(words.map(Into::into)).unwrap();
    crate::cli::execute(arguments, &NO_PROGRAM, &plain())
}

#[test]
fn several_routers_are_told_apart_or_not_at_all() {
    let stubs = [Stub::new(200, TEXT), Stub::new(200, TEXT)];
    let dead = Stub::dead();
    let admin = format!("{},{},{dead}", stubs[0].url, stubs[1].url);
    for line in ["", "--format mackerel"] {
        let outcome = run(&admin, line);
        assert_eq!((outcome.code, &*outcome.out), (Code::Usage, ""), "{line}");
        assert!(outcome.err.contains("of 3 routers"), "{}", outcome.err);
    }
    let outcome = run(&admin, "--json");
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(outcome.code, Code::Partial);
    assert_eq!(document[1]["admin"], stubs[1].url);
    assert_eq!(document[1]["answer"][0]["value"], 120.0);
    assert!(document[2]["problem"].is_object(), "{document}");
}

#[test]
fn a_state_that_nothing_would_be_kept_in_is_refused() {
    let stub = Stub::new(200, TEXT);
    for line in ["--state s", "--state s --json --format mackerel"] {
        let outcome = run(&stub.url, line);
        assert_eq!(outcome.code, Code::Usage, "{line}");
        assert!(outcome.err.contains("--state is for"), "{}", outcome.err);
    }
}
