//! Collectors that are well, busy, silent or gone: what becomes of spans, and that nobody waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::collector::{
    Collector, SPAN, TRACE, by_request, counted, named, start, stopped, table, texts, told,
    traceparent,
};
use crate::support::{File, Kanaria, Stub, get, sized, until, volley};

/// However a collector is, requests are served as without it, and each span is counted once.
#[test]
fn nobody_waits_for_a_collector() {
    // More than may wait, so that some are dropped.
    let many = sized(10_000, 40_000);
    let most_waiting = 8192 + 512;
    let silent = Collector::silent();
    let failing = Collector::with(|| ("500 Internal Server Error", "", Vec::new()));
    let gone = Stub::start("gone");
    gone.die();
    let at_none = table("http://127.0.0.1:1", "sample = 0.0");
    let absent = table(&format!("http://{}", gone.address), "sample = 1.0");
    for (name, table, n) in [
        ("none", at_none, 2_000),
        ("absent", absent, many),
        ("silent", silent.table("sample = 1.0"), many),
        ("failing", failing.table("sample = 1.0"), 2_000),
    ] {
        let least_dropped = n.saturating_sub(most_waiting);
        let ec2 = Stub::start("ec2");
        let kanaria = Kanaria::start(&File::single(&ec2).quiet().after(&table));
        let began = Instant::now();
        let answers = volley(kanaria.public, n, 8, |_| get("/", ""));
        let took = began.elapsed();
        let served = answers.iter().filter(|it| it.status == 200).count();
        assert_eq!(served, n, "{name}");
        // A span ends after its answer, so the last ones may not be counted yet.
        let dropped = until("spans that nobody can hold are dropped", || {
            let dropped = counted(&kanaria, "dropped");
            (dropped >= least_dropped).then_some(dropped)
        });
        println!(
            "{name}: {n} requests in {took:?}, {dropped} spans dropped, at least {least_dropped}"
        );
        assert_eq!(counted(&kanaria, "exported"), 0, "{name}");
        if name == "failing" {
            // 500 is not tried again.
            until("what was not dropped is rejected", || {
                (counted(&kanaria, "rejected") == n - counted(&kanaria, "dropped")).then_some(())
            });
        }
    }
}

/// A collector that has too much to do says so; nothing is lost, nothing comes twice.
#[test]
fn what_is_to_be_sent_later_is_sent_later_and_once() {
    const N: usize = 1_500;
    let tries = AtomicUsize::new(0);
    let statuses = [
        "503 Service Unavailable",
        "429 Too Many Requests",
        "502 Bad Gateway",
        "504 Gateway Timeout",
    ];
    let collector = Collector::with(move || {
        let status = statuses.get(tries.fetch_add(1, Ordering::AcqRel));
        let status = status.copied().unwrap_or("200 OK");
        (status, "retry-after: 0\r\n", Vec::new())
    });
    let (_ec2, kanaria) = start(&collector.table("sample = 1.0"));
    volley(kanaria.public, N, 4, |n| named(&format!("r{n}"), ""));
    until("all are there", || {
        (counted(&kanaria, "exported") == N).then_some(())
    });
    let spans = collector.spans();
    assert_eq!((spans.len(), by_request(spans).len()), (N, N));
    let log = kanaria.stderr();
    assert_eq!(log.matches("spans are not taken by").count(), 4, "{log}");
    assert_eq!(log.matches("spans are taken again by").count(), 1, "{log}");
}

#[test]
fn what_waits_at_the_end_is_sent_and_a_silent_collector_holds_no_end_up() {
    const N: usize = 1_000;
    let collector = Collector::start();
    let (_ec2, kanaria) = start(&collector.table("sample = 1.0"));
    volley(kanaria.public, N, 4, |n| named(&format!("r{n}"), ""));
    drop(stopped(kanaria));
    assert_eq!(by_request(collector.spans()).len(), N);
    assert_eq!(collector.spans().len(), N);
    let silent = Collector::silent();
    let (_ec2, kanaria) = start(&silent.table("sample = 1.0"));
    volley(kanaria.public, N, 4, |_| get("/", ""));
    let began = Instant::now();
    let kanaria = stopped(kanaria);
    println!("ended after {:?}, bound 10 s", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    let log = kanaria.stderr();
    assert!(
        log.contains("spans that waited for the collector in the end were not sent"),
        "{log}"
    );
}

/// The first takes nothing for a long time; the second gets what waited for the first, at once.
#[test]
fn a_reload_takes_what_waits_to_another_collector_and_ends_it() {
    const N: usize = 600;
    let busy = Collector::with(|| {
        (
            "503 Service Unavailable",
            "retry-after: 250\r\n",
            Vec::new(),
        )
    });
    let collector = Collector::start();
    let (ec2, kanaria) = start(&busy.table("sample = 1.0"));
    let first = std::fs::read_to_string(kanaria.path("kanaria.toml")).unwrap();
    volley(kanaria.public, N, 4, |n| named(&format!("r{n}"), ""));
    until("a try", || (busy.stub.count() > 0).then_some(()));
    let second = first.replace(
        &busy.stub.address.to_string(),
        &collector.stub.address.to_string(),
    );
    kanaria.rewrite(&second);
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    assert_eq!(by_request(collector.spans_of(N)).len(), N);
    // Without the table nothing is made up, and nothing is told of.
    kanaria.rewrite(first.split("[telemetry]").next().unwrap());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    kanaria
        .client()
        .call(named("after", &traceparent(TRACE, "01")));
    assert_eq!(told(&ec2.last()), [TRACE, SPAN, "01"]);
    drop(stopped(kanaria));
    assert_eq!(collector.spans().len(), N);
}

/// Headers of the file are sent and shown nowhere; spans that are not taken with others are counted and said.
#[test]
fn a_collector_knows_its_customer_and_may_take_a_part() {
    let is_first = AtomicBool::new(true);
    let collector = Collector::with(move || {
        let partial = ExportTracePartialSuccess {
            rejected_spans: is_first.swap(false, Ordering::AcqRel).into(),
            error_message: "too old".into(),
        };
        let answer = ExportTraceServiceResponse {
            partial_success: Some(partial),
        };
        ("200 OK", "", answer.encode_to_vec())
    });
    let keys = "sample = 1.0\nheaders = { \"x-api-key\" = \"never shown\" }\nattributes = { \"deployment.environment.name\" = \"test\" }";
    let (_ec2, kanaria) = start(&collector.table(keys));
    volley(kanaria.public, 10, 1, |_| get("/", ""));
    until("all are told", || {
        (counted(&kanaria, "exported") + counted(&kanaria, "rejected") == 10).then_some(())
    });
    assert_eq!(counted(&kanaria, "rejected"), 1);
    assert_eq!(
        collector.stub.last().head.get("x-api-key"),
        Some("never shown")
    );
    let taken = collector.taken.lock().unwrap();
    let resource = taken[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(
        texts(&resource.attributes)["deployment.environment.name"],
        "test"
    );
    let log = kanaria.stderr();
    assert!(
        log.contains("it does not take some of them: too old"),
        "{log}"
    );
    let shown = [
        log,
        kanaria.admin.get("/api/v1/status").to_string(),
        kanaria.admin.metrics(),
    ];
    assert!(!shown.concat().contains("never shown"));
}
