//! Requests against small files, through one `check`.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::testing::{Sent, cookie_in, snapshot};

const TWO_POOLS: &str = r#"
[[routes]]
name = "web"
stable = "ec2"
weights = { ec2 = 90, ecs = 10 }
"#;

fn words(snapshot: &Snapshot, decision: &Decision) -> String {
    let Some(route) = decision.route.map(|id| snapshot.route(id)) else {
        return "none".into();
    };
    let (Some(choice), Some(forward)) = (decision.choice, route.forward()) else {
        return route.name.to_string();
    };
    let flag = choice
        .flag
        .map(|flag| format!(" {}", forward.flags[usize::from(flag.0)].name));
    format!(
        "{} {} {}{} {} {} {}",
        route.name,
        snapshot.pool(choice.pool).name,
        choice.reason.as_str(),
        flag.unwrap_or_default(),
        choice.sticky.as_str(),
        if choice.bucket.is_some() {
            "placed"
        } else {
            "unplaced"
        },
        if choice.new_id.is_some() {
            "cookie"
        } else {
            "quiet"
        },
    )
}

/// `LOW` and `HIGH` in a request stand for ids in the lowest and highest hundredth of the buckets.
#[track_caller]
fn check(config: &str, request: &str, expect: &str) {
    let snapshot = snapshot(config);
    let request = request
        .replace("LOW", &cookie_in(&snapshot, |bucket| bucket < 100))
        .replace("HIGH", &cookie_in(&snapshot, |bucket| bucket >= 9_900));
    let decision = snapshot.decide(&Sent::read(&request).facts());
    assert_eq!(words(&snapshot, &decision), expect, "{request}");
}

#[test]
fn an_id_decides_by_the_weights() {
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=LOW",
        "web ecs weight hit placed quiet",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=HIGH",
        "web ec2 weight hit placed quiet",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: x=y; kanaria=LOW; z",
        "web ecs weight hit placed quiet",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: x=y\ncookie: kanaria=LOW",
        "web ecs weight hit placed quiet",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=bad; kanaria=LOW",
        "web ecs weight hit placed quiet",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=HIGH; kanaria=LOW",
        "web ec2 weight hit placed quiet",
    );
}

#[test]
fn a_new_client_is_placed_in_the_same_request() {
    check(
        TWO_POOLS,
        "GET a/\n@id 1",
        "web ec2 weight new placed cookie",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: Kanaria=LOW",
        "web ec2 weight new placed cookie",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=bad",
        "web ec2 weight invalid placed cookie",
    );
    check(
        TWO_POOLS,
        "GET a/\ncookie: kanaria=LOWx",
        "web ec2 weight invalid placed cookie",
    );
    let snapshot = snapshot(TWO_POOLS);
    let sent = Sent::read("GET a/\n@id 77");
    let choice = snapshot.decide(&sent.facts()).choice.unwrap();
    assert_eq!(choice.new_id, Some(77u128.to_be_bytes()));
    let forward = snapshot.route(RouteId(0)).forward().unwrap();
    let place = snapshot.bucket_key(forward.cohort).place(&sent.fresh);
    assert_eq!(choice.bucket, Some(place.bucket()));
}

#[test]
fn a_route_of_one_pool_makes_no_ids() {
    let config = "[[routes]]\nname = 'web'\nstable = 'ec2'";
    check(config, "GET a/", "web ec2 weight none unplaced quiet");
    check(
        config,
        "GET a/\ncookie: kanaria=bad",
        "web ec2 weight none unplaced quiet",
    );
    check(
        config,
        "GET a/\ncookie: kanaria=LOW",
        "web ec2 weight hit placed quiet",
    );
    let config = "[[routes]]\nname = 'web'\nstable = 'ec2'\nweights = { ec2 = 5 }";
    check(config, "GET a/", "web ec2 weight none unplaced quiet");
}

#[test]
fn a_pool_at_zero_still_makes_a_route_of_two() {
    let config = TWO_POOLS.replace("ecs = 10", "ecs = 0");
    check(&config, "GET a/", "web ec2 weight new placed cookie");
    check(
        &config,
        "GET a/\ncookie: kanaria=LOW",
        "web ec2 weight hit placed quiet",
    );
}

#[test]
fn without_stickiness_each_request_is_placed_and_told_nothing() {
    let config = format!("{TWO_POOLS}\nsticky.mode = 'off'");
    check(&config, "GET a/", "web ec2 weight none placed quiet");
    check(
        &config,
        "GET a/\ncookie: kanaria=LOW\n@id 2",
        "web ec2 weight none placed quiet",
    );
    check(
        "[[routes]]\nname = 'web'\nstable = 'ec2'\nsticky.mode = 'off'",
        "GET a/",
        "web ec2 weight none unplaced quiet",
    );
}

#[test]
fn keys_place_clients_without_our_cookie() {
    let config =
        format!("{TWO_POOLS}\nsticky.keys = ['header:Authorization', 'cookie:session', 'ip']");
    let bucket = |request: &str| {
        let snapshot = snapshot(&config);
        let choice = snapshot
            .decide(&Sent::read(request).facts())
            .choice
            .unwrap();
        assert_eq!(
            (choice.sticky, choice.new_id),
            (Sticky::Hit, None),
            "{request}"
        );
        choice.bucket.unwrap()
    };
    let key = snapshot(&config)
        .bucket_key(crate::ids::CohortId(0))
        .to_owned();
    let of = |bytes: &[u8]| key.place(bytes).bucket();
    assert_eq!(
        bucket("GET a/\nauthorization: Bearer 1\ncookie: session=2"),
        of(b"Bearer 1")
    );
    assert_eq!(
        bucket("GET a/\ncookie: session=2\n@client 10.0.0.2"),
        of(b"2")
    );
    assert_eq!(bucket("GET a/\ncookie: session=; session=3"), of(b"3"));
    assert_eq!(bucket("GET a/\ncookie: kanaria=bad; session=2"), of(b"2"));
    assert_eq!(bucket("GET a/\n@client 10.0.0.2"), of(&[10, 0, 0, 2]));
    assert_eq!(
        bucket("GET a/\n@client ::ffff:10.0.0.2"),
        of(&[10, 0, 0, 2])
    );
    assert_eq!(bucket("GET a/\n@client ::1"), of(&1u128.to_be_bytes()));
    assert_eq!(
        bucket("GET a/\n@peer 10.0.0.2\n@client 10.0.0.3"),
        of(&[10, 0, 0, 3])
    );
    check(
        &config,
        "GET a/\ncookie: kanaria=LOW; session=2",
        "web ecs weight hit placed quiet",
    );
}

const FLAGS: &str = r#"
[[routes]]
name = "web"
stable = "ec2"
weights = { ec2 = 100, ecs = 0 }
[[routes.flags]]
name = "staff"
cookie = "flag"
value = "on"
pool = "ecs"
[[routes.flags]]
name = "test"
header = "X-Canary"
value = "Yes"
pool = "eks"
from = ["10.0.0.0/8", "2001:db8::/32"]
"#;

#[test]
fn a_flag_beats_the_weights() {
    check(
        FLAGS,
        "GET a/\ncookie: flag=on",
        "web ecs flag staff new placed cookie",
    );
    check(
        FLAGS,
        "GET a/\ncookie: flag=on; kanaria=HIGH",
        "web ecs flag staff hit placed quiet",
    );
    check(
        FLAGS,
        "GET a/\ncookie: a=b\ncookie: flag=off; flag=on",
        "web ecs flag staff new placed cookie",
    );
    for other in [
        "flag=On",
        "flag=on2",
        "flag=\"on\"",
        "Flag=on",
        "xflag=on",
        "flag",
    ] {
        let request = format!("GET a/\ncookie: {other}; kanaria=LOW");
        check(FLAGS, &request, "web ec2 weight hit placed quiet");
    }
}

#[test]
fn a_flag_is_believed_from_its_networks_only() {
    let canary = "GET a/\nx-canary: Yes\ncookie: kanaria=LOW";
    for client in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::9"] {
        let request = format!("{canary}\n@client {client}");
        check(FLAGS, &request, "web eks flag test hit placed quiet");
    }
    check(FLAGS, canary, "web ec2 weight hit placed quiet");
    check(
        FLAGS,
        &format!("{canary}\n@peer 10.1.2.3"),
        "web ec2 weight hit placed quiet",
    );
    check(
        FLAGS,
        "GET a/\nx-canary: yes\ncookie: kanaria=LOW\n@client 10.0.0.1",
        "web ec2 weight hit placed quiet",
    );
}

#[test]
fn the_first_flag_of_several_wins() {
    let both = "GET a/\nx-canary: Yes\ncookie: flag=on\n@client 10.0.0.1";
    check(FLAGS, both, "web ecs flag staff new placed cookie");
}

#[test]
fn a_flag_on_a_route_of_one_pool_makes_no_id() {
    let config = FLAGS.replace("weights = { ec2 = 100, ecs = 0 }", "");
    check(
        &config,
        "GET a/\ncookie: flag=on",
        "web ecs flag staff none unplaced quiet",
    );
}

const SITE: &str = r#"
[[routes]]
name = "admin"
match = { path = "/admin*", source_ip = "10.0.0.0/8" }
stable = "ec2"
[[routes]]
name = "blogs"
match = { partition = ["blogs", "pro"] }
stable = "ec2"
weights = { ecs = 1, ec2 = 0 }
[[routes]]
name = "www"
match = { host = "www.*.example" }
stable = "ecs"
[[routes]]
name = "posts"
match = { method = "POST", host = ["*.example", "*.example.org"] }
stable = "eks"
"#;

#[test]
fn the_first_route_that_matches_wins() {
    check(
        SITE,
        "GET x.blogs.example/\ncookie: kanaria=LOW",
        "blogs ecs weight hit placed quiet",
    );
    check(
        SITE,
        "GET x.blogs.example/admin\n@peer 10.0.0.1",
        "admin ec2 weight none unplaced quiet",
    );
    check(
        SITE,
        "GET x.blogs.example/admin\n@client 10.0.0.1\ncookie: kanaria=LOW",
        "blogs ecs weight hit placed quiet",
    );
    check(
        SITE,
        "GET www.blogs.example/",
        "www ecs weight none unplaced quiet",
    );
    check(
        SITE,
        "GET WWW.Blogs.Example.:8080/",
        "www ecs weight none unplaced quiet",
    );
    check(
        SITE,
        "POST a.example/",
        "posts eks weight none unplaced quiet",
    );
    check(
        SITE,
        "POST a.b.example.org/",
        "posts eks weight none unplaced quiet",
    );
    check(SITE, "POST example.org/", "none");
    check(SITE, "GET a.example/", "none");
    check(SITE, "GET /", "none");
}

#[test]
fn a_partition_header_is_believed_from_trusted_peers_only() {
    let header = "x-blog-domain-partition";
    let partition = |request: &str| {
        let snapshot = snapshot(SITE);
        let decision = snapshot.decide(&Sent::read(request).facts());
        snapshot.partition_name(decision.partition).to_string()
    };
    assert_eq!(partition("GET a.example/"), "main");
    assert_eq!(partition("GET cdn.images.example/"), "images");
    assert_eq!(partition("GET a.pro.blogs.example:80/"), "pro");
    assert_eq!(
        partition(&format!("GET a.example/\n{header}: blogs")),
        "main"
    );
    assert_eq!(
        partition(&format!("GET a.example/\n{header}: blogs\n@trusted")),
        "blogs"
    );
    assert_eq!(
        partition(&format!(
            "GET a.pro.blogs.example/\n{header}: main\n@trusted"
        )),
        "main"
    );
    assert_eq!(
        partition(&format!(
            "GET a.pro.blogs.example/\n{header}: Blogs\n@trusted"
        )),
        "pro"
    );
    assert_eq!(
        partition(&format!(
            "GET a/\n{header}: what\n{header}: images\n@trusted"
        )),
        "images"
    );
}

#[test]
fn deciding_allocates_nothing() {
    let snapshot = snapshot(&[SITE, FLAGS].concat());
    let sent = [
        "GET A.Blogs.Example:80/x?y=z\ncookie: a=b; kanaria=AAAAAAAAAAAAAAAAAAAAAA; flag=on",
        "POST b.pro.blogs.example/admin\nx-canary: Yes\n@client 10.0.0.1",
        "GET a/\ncookie: kanaria=bad",
    ];
    for request in sent {
        let sent = Sent::read(request);
        let counted = allocation_counter::measure(|| {
            std::hint::black_box(snapshot.decide(&sent.facts()));
        });
        assert_eq!(counted.count_total, 0, "{request}");
    }
}

/// Fields of any bytes, which no parser of ours has looked at.
struct Raw(Vec<(HeaderName, Vec<u8>)>);

impl crate::facts::Fields for Raw {
    fn any(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0
            .iter()
            .any(|(found, value)| found == name && visit(value))
    }
}

proptest! {
    #[test]
    fn every_request_gets_an_answer(
        method in ".{0,8}", host in "(\\PC|[.:\\[\\]]){0,12}", path in ".{0,12}",
        query in prop::option::of(".{0,12}"), cookie: Vec<u8>, header: Vec<u8>, trusted: bool,
    ) {
        static SNAPSHOT: LazyLock<Snapshot> =
            LazyLock::new(|| snapshot(&[SITE, EVERYTHING].concat()));
        let snapshot = &*SNAPSHOT;
        let names = ["cookie", "x-canary", "x-a", "x-blog-domain-partition", "cookie"];
        let values = [cookie.clone(), header.clone(), header.clone(), header, [b"kanaria=", &*cookie].concat()];
        let fields = Raw(names.into_iter().map(HeaderName::from_static).zip(values).collect());
        let sent = Sent::read("GET a/");
        let facts = Facts {
            method: &method, host: &host, path: &path, query: query.as_deref(), fields: &fields, trusted,
            ..sent.facts()
        };
        let decision = snapshot.decide(&facts);
        prop_assert!(decision.choice.is_some());
        prop_assert_eq!(decision, snapshot.decide(&facts));
        let explanation = crate::explain::explain(snapshot, &facts);
        prop_assert_eq!(explanation.decision.bucket, decision.choice.unwrap().bucket);
    }
}

/// A route that takes what all others leave, and one with every kind of condition.
const EVERYTHING: &str = r#"
[[routes]]
name = "everything"
match.host = [{ regex = "^a.*z$" }, "?*"]
match.path = { regex = "\\.php$" }
match.method = ["GET", "POST"]
match.header.X-A = ["*a*b*", { regex = "c+" }]
match.cookie.k = { regex = "." }
match.query = [{ key = "a*", value = "?*" }, { value = "\\*" }]
match.source_ip = "192.0.2.0/24"
match.listener = "public"
stable = "ec2"
[[routes]]
name = "last"
stable = "ec2"
weights = { ec2 = 1, ecs = 1 }
sticky.keys = ["header:X-A"]
flags = [
    { name = "staff", cookie = "k", value = "on", pool = "ecs" },
    { name = "test", header = "X-Canary", value = "1", pool = "eks" },
]
"#;
