//! Traces: what targets are told of them, and what a collector gets of requests.

mod collector;
mod export;

use std::collections::BTreeSet;

use crate::support::{After, File, Kanaria, Stub, get, until, volley};
use collector::{
    Collector, SPAN, TRACE, by_request, counted, hang, hex, named, start, stopped, texts, told,
    traceparent,
};

/// Half of them belong to traces of their clients; a span each, which client, target and log agree about.
#[test]
fn each_request_is_a_span_that_its_target_and_the_log_know() {
    const N: usize = 60;
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let collector = Collector::start();
    let table = collector.table("sample = 1.0\nservice = \"edge\"");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").after(&table));
    volley(kanaria.public, N, 4, |n| match n % 2 {
        0 => named(&format!("r{n}"), ""),
        _ => {
            let trace = format!("{TRACE:.30}{n:02x}");
            named(
                &format!("r{n}"),
                &(traceparent(&trace, "01") + "tracestate: a=1\r\n"),
            )
        }
    });
    let spans = by_request(collector.spans_of(N));
    assert_eq!(spans.len(), N);
    until("they are counted", || {
        (counted(&kanaria, "exported") == N).then_some(())
    });
    let seen = [ec2.seen(), ecs.seen()].concat();
    assert_eq!(seen.len(), N);
    let log = kanaria.log_of(N);
    for seen in &seen {
        let id = seen.head.get("x-request-id").unwrap();
        let span = &spans[id];
        let line = log.iter().find(|line| line["request_id"] == id).unwrap();
        assert_eq!(
            told(seen),
            [hex(&span.trace_id), hex(&span.span_id), "01".into()]
        );
        let n: usize = id[1..].parse().unwrap();
        let (trace, parent) = match n % 2 {
            0 => {
                // That of the log without its punctuation.
                let root = line["trace_id"].as_str().unwrap();
                (root["1-".len()..].replace('-', ""), String::new())
            }
            _ => (format!("{TRACE:.30}{n:02x}"), SPAN.to_owned()),
        };
        assert_eq!(
            (hex(&span.trace_id), hex(&span.parent_span_id)),
            (trace, parent)
        );
        let state = (n % 2 == 1).then_some("a=1");
        assert_eq!(seen.head.get("tracestate"), state);
        let texts = texts(&span.attributes);
        for (key, field) in [
            ("kanaria.route", "route"),
            ("kanaria.pool", "pool"),
            ("kanaria.reason", "reason"),
            ("kanaria.target", "upstream_addr"),
            ("kanaria.partition", "partition"),
            ("kanaria.listener", "listener"),
            ("kanaria.config_digest", "config_digest"),
            ("http.request.method", "method"),
            ("url.path", "path"),
            ("url.scheme", "scheme"),
            ("server.address", "host"),
            ("client.address", "client_ip"),
        ] {
            assert_eq!(texts[key], line[field].as_str().unwrap(), "{key}");
        }
        for (key, field) in [
            ("kanaria.revision", "revision"),
            ("kanaria.bucket", "bucket"),
            ("kanaria.attempts", "attempts"),
            ("http.response.status_code", "status"),
            ("client.port", "client_port"),
        ] {
            assert_eq!(texts[key], line[field].to_string(), "{key}");
        }
        let nanoseconds = span.end_time_unix_nano - span.start_time_unix_nano;
        let duration = line["duration_s"].as_f64().unwrap();
        assert!((nanoseconds as f64 / 1e9 - duration).abs() < 2e-6);
        assert_eq!((span.name.as_str(), span.kind), ("GET web", 2));
        assert!(!texts.values().any(|text| text.contains("secret")));
    }
    let ids: BTreeSet<_> = spans.values().map(|span| span.span_id.clone()).collect();
    assert_eq!(ids.len(), N, "no id is used twice");
    let taken = collector.taken.lock().unwrap();
    let resource = taken[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(texts(&resource.attributes)["service.name"], "edge");
    let head = collector.stub.last().head;
    assert!(head.line.starts_with("POST /v1/traces "), "{}", head.line);
    assert_eq!(head.get("content-type"), Some("application/x-protobuf"));
}

/// What a client asks for is done, whatever the part is; what nobody records passes as it came.
#[test]
fn the_flag_of_a_client_decides_and_what_is_left_out_passes_as_it_came() {
    let collector = Collector::start();
    for (sample, flags, expect) in [
        ("1.0", "00", false),
        ("0.0", "01", true),
        ("1.0", "fe", false),
    ] {
        let (ec2, kanaria) = start(&collector.table(&format!("sample = {sample}")));
        let before = collector.spans().len();
        let fields = traceparent(TRACE, flags) + "tracestate: b=2,a=1\r\ntracestate: c=3\r\n";
        assert_eq!(kanaria.client().call(named("a", &fields)).status, 200);
        let seen = ec2.last();
        let states: Vec<_> = seen.head.all("tracestate").collect();
        assert_eq!(states, ["b=2,a=1", "c=3"]);
        let [trace, span, passed] = told(&seen);
        assert_eq!((trace.as_str(), passed.as_str()), (TRACE, flags));
        assert_eq!(span == SPAN, !expect);
        // What was made is sent before the end.
        drop(stopped(kanaria));
        assert_eq!(collector.spans().len() - before, usize::from(expect));
    }
}

/// Whoever sends what cannot be followed begins a new trace, and the state of the other one ends (W3C Trace Context 3.2.2, 3.3).
#[test]
fn an_invalid_traceparent_is_replaced_and_its_state_goes() {
    let collector = Collector::start();
    let (ec2, kanaria) = start(&collector.table("sample = 1.0"));
    let zeros = "0".repeat(32);
    let upper = TRACE.to_uppercase();
    let lines = [
        format!("traceparent: ff-{TRACE}-{SPAN}-01\r\n"),
        format!("traceparent: 00-{zeros}-{SPAN}-01\r\n"),
        format!("traceparent: 00-{TRACE}-{zeros:.16}-01\r\n"),
        format!("traceparent: 00-{upper}-{SPAN}-01\r\n"),
        format!("traceparent: 00-{TRACE}-{SPAN}-01-more\r\n"),
        format!("traceparent: 00-{TRACE}-{SPAN}\r\n"),
        traceparent(TRACE, "01") + &traceparent(TRACE, "01"),
        "traceparent: \r\n".into(),
        String::new(),
    ];
    let mut client = kanaria.client();
    for (n, lines) in lines.iter().enumerate() {
        let fields = format!("{lines}tracestate: a=1\r\n");
        assert_eq!(client.call(named(&format!("r{n}"), &fields)).status, 200);
        let seen = ec2.last();
        let [trace, span, flags] = told(&seen);
        assert_ne!(trace, TRACE, "{lines}");
        assert_ne!(span, SPAN, "{lines}");
        assert_eq!((flags.as_str(), seen.head.get("tracestate")), ("01", None));
    }
    let spans = collector.spans_of(lines.len());
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
    // A later version is read as far as it is known, and answered with ours.
    let later = format!("traceparent: cc-{TRACE}-{SPAN}-01-what-comes\r\n");
    client.call(named("later", &later));
    assert_eq!(told(&ec2.last())[0], TRACE);
    let spans = by_request(collector.spans_of(lines.len() + 1));
    assert_eq!(hex(&spans["later"].parent_span_id), SPAN);
}

/// Known ids, so that it is known which of them get a span; a target is told either way.
#[test]
fn the_part_that_is_asked_for_gets_spans_by_the_id_of_the_trace() {
    const N: usize = 2_000;
    let collector = Collector::start();
    let (ec2, kanaria) = start(&collector.table("sample = 0.1"));
    // Spread as if by chance, the same in every run (splitmix64).
    let low = |n: usize| {
        let mut x = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    volley(kanaria.public, N, 8, |n| {
        let fields = format!(
            "X-Amzn-Trace-Id: Root=1-{n:08x}-0000000a{:016x}\r\n",
            low(n)
        );
        named(&format!("r{n}"), &fields)
    });
    // The upper tenth of what 56 bits can be.
    let least = ((1_u64 << 56) as f64 * 0.9) as u64;
    let expect: BTreeSet<String> = (0..N)
        .filter(|n| low(*n) & ((1 << 56) - 1) >= least)
        .map(|n| format!("r{n}"))
        .collect();
    println!("{} of {N} traces, expected 161 to 239", expect.len());
    assert!((161..=239).contains(&expect.len()));
    let seen = ec2.seen();
    drop(stopped(kanaria));
    let spans = collector.spans();
    let found: BTreeSet<String> = by_request(spans.clone()).into_keys().collect();
    assert_eq!((spans.len(), &found), (expect.len(), &expect));
    for seen in seen {
        let id = seen.head.get("x-request-id").unwrap();
        let n: usize = id[1..].parse().unwrap();
        let [trace, _, flags] = told(&seen);
        assert_eq!(trace, format!("{n:08x}0000000a{:016x}", low(n)));
        assert_eq!(flags == "01", expect.contains(id));
    }
}

#[test]
fn spans_of_what_failed_say_how_and_whose_fault_it_was() {
    let ec2 = Stub::with("ec2", |exchange| match exchange.path() {
        "/500" => exchange.answer("500 Internal Server Error", "", b""),
        "/404" => exchange.answer("404 Not Found", "", b""),
        "/slow" => hang(exchange),
        "/cut" => {
            exchange
                .wire
                .send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")?;
            Ok(After::Close)
        }
        _ => exchange.plain(),
    });
    let ecs = Stub::start("ecs");
    let collector = Collector::start();
    let flags = "[[routes.flags]]\nname = \"tester\"\nheader = \"X-Try\"\nvalue = \"ecs\"\npool = \"ecs\"\n";
    let file = File::split(&ec2, &ecs, "ec2 = 100, ecs = 0")
        .route(flags)
        .after(&collector.table("sample = 1.0"));
    let kanaria = Kanaria::start(&file);
    let call = |path: &str, fields: &str| {
        let id = path.trim_start_matches('/');
        let mut client = kanaria.client();
        drop(client.try_call(get(path, &format!("X-Request-Id: {id}\r\n{fields}"))));
    };
    call("/500", "");
    call("/404", "");
    call("/cut", "");
    call("/flagged", "X-Try: ecs\r\n");
    ecs.die();
    call("/failover", "X-Try: ecs\r\n");
    let mut client = kanaria.client();
    client
        .wire
        .send(get("/slow", "X-Request-Id: gone\r\n"))
        .unwrap();
    until("the target has it", || {
        let seen = ec2.seen();
        let has = seen.iter().any(|seen| seen.head.line.contains("/slow"));
        has.then_some(())
    });
    drop(client);
    kanaria.log_of(6);
    ec2.die();
    call("/dead", "");
    let spans = by_request(collector.spans_of(7));
    let said = |id: &str| {
        let span = &spans[id];
        let texts = texts(&span.attributes);
        let text = |key: &str| texts.get(key).cloned().unwrap_or_default();
        (
            text("http.response.status_code"),
            text("error.type"),
            span.status.as_ref().map_or(0, |status| status.code),
        )
    };
    let expect = |status: &str, error: &str, code| (status.to_owned(), error.to_owned(), code);
    assert_eq!(said("500"), expect("500", "500", 2));
    assert_eq!(said("404"), expect("404", "", 0));
    assert_eq!(said("cut"), expect("200", "target_closed", 2));
    assert_eq!(said("gone"), expect("", "client_closed", 0));
    assert_eq!(said("failover"), expect("200", "", 0));
    let log = kanaria.log_of(7);
    let dead = log.iter().find(|line| line["request_id"] == "dead");
    let dead = dead.expect("it has a line");
    let (status, error) = (dead["status"].to_string(), dead["error"].as_str());
    let error = error.expect("no target answered");
    println!("without a target: {status} {error}");
    assert_eq!(said("dead"), expect(&status, error, 2));
    let flagged = texts(&spans["flagged"].attributes);
    assert_eq!(
        (
            flagged["kanaria.flag"].as_str(),
            flagged["kanaria.reason"].as_str()
        ),
        ("tester", "flag")
    );
    let failover = texts(&spans["failover"].attributes);
    assert_eq!(
        ["kanaria.pool", "kanaria.reason", "kanaria.switched_from"]
            .map(|key| failover[key].as_str()),
        ["ec2", "failover", "ecs"]
    );
}

#[test]
fn of_peers_that_are_not_trusted_nothing_is_followed_when_the_file_says_so() {
    let collector = Collector::start();
    let table = collector.table("sample = 0.0\nparent = \"trusted\"");
    for (trusted, expect) in [(false, false), (true, true)] {
        let ec2 = Stub::start("ec2");
        let mut file = File::single(&ec2).after(&table);
        if trusted {
            file = file.server("trusted_proxies = [\"127.0.0.0/8\"]");
        }
        let kanaria = Kanaria::start(&file);
        let root = "1-67891233-abcdef012345678912345678";
        let fields = format!(
            "{}tracestate: a=1\r\nX-Amzn-Trace-Id: Root={root}\r\n",
            traceparent(TRACE, "01")
        );
        kanaria.client().call(named("a", &fields));
        let seen = ec2.last();
        let [trace, _, flags] = told(&seen);
        assert_eq!((trace == TRACE, flags == "01"), (expect, expect));
        assert!(!root.replace('-', "").contains(&trace), "{trace}");
        assert_eq!(seen.head.get("tracestate").is_some(), expect);
        let before = collector.spans().len();
        drop(stopped(kanaria));
        assert_eq!(collector.spans().len() - before, usize::from(expect));
    }
}
