//! Answers made by hand, and streams of them with and without a difference.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName};

use super::*;

/// An answer whose head is `fields`, one `name: value` a line.
fn answer(status: u16, fields: &str, body: impl Into<Vec<u8>>) -> Page {
    page(
        status,
        &head(fields),
        &Body::Whole(Cow::Owned(body.into())),
        &|_| false,
    )
}

fn head(fields: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

#[track_caller]
fn check(one: &Page, other: &Page, expect: &[&str]) {
    assert_eq!(one.differences(other), expect);
    let mut back = other.differences(one);
    back.sort_unstable();
    let mut expect = expect.to_vec();
    expect.sort_unstable();
    assert_eq!(back, expect);
}

#[test]
fn endpoints_fold_what_names_one_thing() {
    for (path, expect) in [
        ("/", "GET /"),
        ("/users/42", "GET /users/:n"),
        (
            "/users/42/orders/8f14e45fceea167a",
            "GET /users/:n/orders/:hex",
        ),
        ("/o/123e4567-e89b-12d3-a456-426614174000", "GET /o/:uuid"),
        ("/t/AbC9xY0_zQ12-lmNoP", "GET /t/:id"),
        ("/v1/page2/deadbeef", "GET /v1/page2/deadbeef"),
        ("/assets/app.8f14e45f.js", "GET /assets/app.8f14e45f.js"),
    ] {
        assert_eq!(endpoint("GET", path), expect);
    }
    let long = endpoint("GET", &"/a".repeat(1000));
    assert!(long.len() < 170 && long.ends_with('…'), "{long}");
}

#[test]
fn heads_differ_by_status_or_by_field_and_cookies_by_scope() {
    let one = answer(200, "x-a: 1\nx-b: 2\nconnection: close", "x");
    check(
        &one,
        &answer(200, "x-a: 1\nx-b: 2\nconnection: keep-alive", "x"),
        &[],
    );
    check(
        &one,
        &answer(200, "x-a: 2", "x"),
        &["header:x-a", "header:x-b"],
    );
    check(&one, &answer(500, "x-a: 2", "y"), &["status"]);
    let cookie = |line: &str| answer(200, &format!("set-cookie: {line}"), "");
    let set = cookie("sess=1; Path=/; HttpOnly");
    check(
        &set,
        &cookie("sess=2; httponly; path=/"),
        &["header:set-cookie"],
    );
    check(
        &set,
        &cookie("sess=1; Path=/; HttpOnly; Domain=example.com"),
        &["cookie:sess", "header:set-cookie"],
    );
    let expiring = cookie("a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT");
    check(
        &expiring,
        &cookie("a=1; Expires=Fri, 02 Jan 2026 00:00:00 GMT"),
        &["header:set-cookie"],
    );
}

#[test]
fn json_differs_by_path_and_a_body_of_another_type_only_by_that() {
    let json = |text: &str| answer(200, "content-type: application/json; charset=utf-8", text);
    let one = json(r#"{"a":1,"list":[{"b":true,"c":"x"},{"b":true,"c":"y"}],"n":null}"#);
    check(
        &one,
        &json(r#"{ "n": null, "list": [{"c":"x","b":true},{"b":true,"c":"y"}], "a": 1 }"#),
        &[],
    );
    check(
        &one,
        &json(r#"{"a":1,"list":[{"b":true,"c":"x"},{"b":false,"c":"y"}],"n":null}"#),
        &["json:$.list[*].b"],
    );
    check(
        &one,
        &json(r#"{"a":"1","list":[{"b":true,"c":"x"},{"b":true,"c":"y"}]}"#),
        &["json:$.a", "json:$.n"],
    );
    let keyed = |id: &str| json(&format!(r#"{{"users":{{"{id}":{{"age":3}}}}}}"#));
    check(&keyed("17"), &keyed("18"), &[]);
    let html = answer(
        200,
        "content-type: application/json; charset=utf-8",
        "<html>",
    );
    check(&one, &html, &["body:type"]);
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    check(
        &json(&deep),
        &json(&deep.replace('1', "2")),
        &[&*format!("json:${}", "[*]".repeat(24))],
    );
}

#[test]
fn html_differs_by_its_text_and_its_tags() {
    let html = |text: &str| answer(200, "content-type: text/html", text);
    let one = html(
        "<html><script nonce='1'>a < b</script><p class=a>Hello\n  world</p><!-- 1 --></html>",
    );
    check(
        &one,
        &html("<HTML><script nonce='2'>b</script>  <p class='b'>Hello world</p></HTML>"),
        &[],
    );
    check(
        &one,
        &html("<html><script></script><p>Hello you</p></html>"),
        &["html:text"],
    );
    check(
        &one,
        &html("<html><script></script><div>Hello world</div></html>"),
        &["html:tags"],
    );
    for broken in ["<", "<p", "<!--", "<script>", "a < b", "é<é>é"] {
        check(&html(broken), &html(broken), &[]);
    }
}

#[test]
fn packed_bodies_are_looked_through_and_unknown_ones_left_out() {
    let gzip = |level, text: &str| {
        let mut packed = GzEncoder::new(Vec::new(), level);
        packed.write_all(text.as_bytes()).unwrap();
        answer(200, "content-encoding: gzip", packed.finish().unwrap())
    };
    let text = "hello ".repeat(100);
    let fast = gzip(Compression::fast(), &text);
    check(&fast, &gzip(Compression::best(), &text), &[]);
    check(&fast, &answer(200, "", text.as_str()), &[]);
    check(&fast, &gzip(Compression::fast(), "other"), &["body"]);
    let unknown = page(200, &head(""), &Body::Unknown, &|_| false);
    check(&unknown, &unknown, &[]);
    check(&fast, &answer(200, "content-encoding: br", "?"), &[]);
    let bomb = gzip(Compression::best(), &"x".repeat(4 << 20));
    check(&bomb, &unknown, &[]);
}

#[test]
fn an_answer_is_compared_in_bounds_whatever_names_it_has() {
    let json = |text: &str| answer(200, "content-type: application/json", text);
    let members = |last: usize| {
        let member = |n: usize| format!("\"a{n:05}\":{}", if n < 3000 { 0 } else { last });
        let members: Vec<_> = (0..=3000).map(member).collect();
        members.join(",")
    };
    let many = |last| json(&format!("{{{}}}", members(last)));
    assert!(many(1).facets.len() <= 1003, "{}", many(1).facets.len());
    check(&many(1), &many(1), &[]);
    check(&many(1), &many(2), &["json:(others)"]);
    let key = "é".repeat(50_000);
    let long = |last| json(&format!("{{\"{key}\":{{{}}}}}", members(last)));
    let names = || long(1).facets.into_keys().map(|name| name.len());
    assert!(names().all(|n| n <= 203), "{:?}", names().max());
    check(&long(1), &long(1), &[]);
    assert_eq!(long(1).differences(&long(2)).len(), 1);
}

#[test]
fn every_name_that_differed_is_a_question() {
    let mut ledger = Ledger::default();
    for n in 0..100 {
        let name = (b'a' + n % 10) as char;
        let json = |value| {
            let body = format!(
                r#"{{"{}":{value}}}"#,
                String::from(name).repeat(1 + n as usize / 10)
            );
            answer(200, "content-type: application/json", body)
        };
        ledger.take(&Trial {
            endpoint: "GET /",
            request_id: "id",
            serving: &json(1),
            shadow: &json(2),
            control: None,
            times: Times::default(),
        });
    }
    let needed = ledger.report().suspects[0].needed;
    assert!((needed - (100.0_f64 / 0.001).ln()).abs() < 1e-9, "{needed}");
}

/// Answers of fifty endpoints; `n` makes every one another one.
fn volatile(endpoint: usize, n: u64, price: u32) -> Page {
    let fields = format!("content-type: application/json\ndate: {n}\nx-nonce: {n}");
    let body = format!(
        r#"{{"endpoint":{endpoint},"at":{n},"price":{price},"maybe":{}}}"#,
        n % 3
    );
    answer(200, &fields, body)
}

fn run(seed: u64, broken: Option<usize>) -> Report {
    let mut ledger = Ledger::default();
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for trial in 0..2000 {
        let endpoint = trial % 50;
        let price = if broken == Some(endpoint) { 9 } else { 8 };
        let name = format!(
            "GET /page/{}",
            ["a", "b"][endpoint % 2].repeat(1 + endpoint / 2)
        );
        ledger.take(&Trial {
            endpoint: &name,
            request_id: "id",
            serving: &volatile(endpoint, next(), 8),
            shadow: &volatile(endpoint, next(), price),
            control: Some(&volatile(endpoint, next(), 8)),
            times: Times {
                serving: Duration::from_millis(10),
                shadow: Duration::from_millis(20),
                control: Some(Duration::from_millis(10)),
            },
        });
    }
    ledger.report()
}

#[test]
fn a_difference_in_one_of_fifty_endpoints_is_named_with_its_rate() {
    let report = run(1, Some(17));
    let [finding] = &*report.findings else {
        panic!("{:#?}", report.findings)
    };
    assert_eq!((&*finding.field, finding.pairs), ("json:$.price", 40));
    assert_eq!((finding.raw, finding.noise), (1.0, 0.0));
    assert!(finding.evidence >= finding.needed);
    assert_eq!(finding.examples.len(), 3);
    assert_eq!(finding.examples[0].serving, "a number");
    let shadow = report.latency.shadow.unwrap();
    assert!((1.9..2.1).contains(&shadow.median), "{shadow:?}");
    assert_eq!((report.pairs, report.n_endpoints), (2000, 50));
}

#[test]
fn what_differs_by_itself_is_never_found() {
    for seed in 0..20 {
        let report = run(seed, None);
        assert!(
            report.findings.is_empty(),
            "seed {seed}: {:#?}",
            report.findings
        );
    }
}

#[test]
fn a_ledger_is_bounded_whatever_is_asked_for() {
    let mut ledger = Ledger::default();
    for n in 0..2000u32 {
        let json = |value: u32| {
            let body = format!(r#"{{"a{}":{value}}}"#, "x".repeat(n as usize % 400));
            answer(200, "content-type: application/json", body)
        };
        ledger.take(&Trial {
            endpoint: &format!("GET /{}", "a".repeat(1 + n as usize % 500)),
            request_id: "id",
            serving: &json(1),
            shadow: &json(2),
            control: None,
            times: Times::default(),
        });
    }
    let report = ledger.report();
    assert_eq!((report.pairs, report.n_endpoints), (2000, 257));
    assert!(
        report
            .endpoints
            .iter()
            .all(|endpoint| endpoint.differing <= 200)
    );
}
