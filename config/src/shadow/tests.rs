//! What is copied, and what a copy looks like.

use http::HeaderMap;

use crate::testing::snapshot;

fn route(keys: &str) -> String {
    format!("[[routes]]\nname = 'web'\nstable = 'ec2'\n[routes.shadow]\npool = 'ecs'\n{keys}")
}

/// Whether requests, each `METHOD PATH`, are copied by a table of `keys`.
#[track_caller]
fn check(keys: &str, requests: &[(&str, bool)]) {
    let snapshot = snapshot(&route(keys));
    let forward = snapshot.structure.routes[0].forward().unwrap();
    let shadow = forward.shadow.as_deref().unwrap();
    for (request, expect) in requests {
        let (method, path) = request.split_once(' ').unwrap();
        assert_eq!(shadow.takes(method, path, path), *expect, "{request}");
    }
}

#[test]
fn reads_are_copied_and_writes_are_not() {
    check(
        "",
        &[
            ("GET /", true),
            ("HEAD /entry", true),
            ("OPTIONS /", false),
            ("POST /", false),
            ("PUT /", false),
            ("PATCH /", false),
            ("DELETE /", false),
            ("get /", false),
            ("GET /logout", false),
            ("GET /logout/all", false),
            ("GET /log", true),
        ],
    );
    check(
        "methods = ['POST', 'GET']\nunsafe_methods = true",
        &[("POST /", true), ("HEAD /", false), ("DELETE /", false)],
    );
}

#[test]
fn a_path_is_denied_by_any_reading_and_allowed_by_all() {
    check(
        "paths = ['/shop/*']\ndeny_paths = ['/shop/pay*', { regex = '/admin' }]",
        &[
            ("GET /shop/1", true),
            ("GET /", false),
            ("GET /shop/pay", false),
            ("GET /shop/%70ay", false),
            ("GET /shop//pay", false),
            ("GET /shop/./pay", false),
            ("GET /shop/x/../pay", false),
            ("GET /shop\\pay", false),
            ("GET /shop/x%2F..%2Fpay", false),
            ("GET /shop/x%2Fy", true),
            ("GET /shop/../account", false),
            ("GET /shop/admin", false),
        ],
    );
}

#[test]
fn a_path_is_denied_also_when_a_rewrite_makes_it_of_an_allowed_one() {
    let snapshot = snapshot(&route("paths = ['/shop/*', '/bye']"));
    let forward = snapshot.structure.routes[0].forward().unwrap();
    let shadow = forward.shadow.as_deref().unwrap();
    for (path, target, expect) in [
        ("/bye", "/logout", false),
        ("/bye", "/log%6Fut", false),
        ("/shop/1", "/v2/1", true),
        ("/v1/1", "/shop/1", false),
        ("/logout", "/shop/1", false),
    ] {
        assert_eq!(
            shadow.takes("GET", path, target),
            expect,
            "{path}, {target}"
        );
    }
}

#[test]
fn clients_are_sampled_by_bucket_from_the_high_end_and_requests_without_one_evenly() {
    for (percent, n_buckets) in [("0.01", 1), ("10", 1000), ("33.33", 3333), ("100", 10_000)] {
        let snapshot = snapshot(&route(&format!("percent = {percent}")));
        let forward = snapshot.structure.routes[0].forward().unwrap();
        let shadow = forward.shadow.as_deref().unwrap();
        let sampled: Vec<u16> = (0..10_000).filter(|it| shadow.samples(*it)).collect();
        assert_eq!(sampled.len(), n_buckets);
        assert_eq!(sampled.last(), Some(&9999));
        assert_eq!(sampled.first(), Some(&(10_000 - n_buckets as u16)));
        for from in [0, 7, 123_456, u32::MAX - 10_000] {
            let turns = (from..from + 10_000).filter(|turn| shadow.takes_turn(*turn));
            assert_eq!(turns.count(), n_buckets, "{percent} from {from}");
        }
    }
}

/// The fields that `edit` leaves of `given`, one a line.
#[track_caller]
fn check_fields(keys: &str, given: &str, expect: &str) {
    let snapshot = snapshot(&route(keys));
    let forward = snapshot.structure.routes[0].forward().unwrap();
    let mut headers = HeaderMap::new();
    for line in given.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    forward.shadow.as_deref().unwrap().edit(&mut headers);
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    assert_eq!(lines.join("\n"), expect);
}

#[test]
fn a_copy_has_a_mark_no_credentials_and_nothing_of_the_connection() {
    let given = "host: www.example.com\ncookie: a=1\ncookie: b=2\nauthorization: Basic x\nx-kanaria-shadow: 0\nupgrade: websocket\nconnection: upgrade\nexpect: 100-continue\ncontent-length: 3\nte: trailers\naccept: a\naccept: b";
    check_fields(
        "",
        given,
        "accept: a\naccept: b\nhost: www.example.com\nx-kanaria-shadow: 1",
    );
    check_fields(
        "drop_headers = ['Accept']\nhost = 'shadow.test:81'\nheaders.set = { Cookie = 'session=reader' }\nheaders.remove = ['authorization']",
        given,
        "cookie: session=reader\nhost: shadow.test:81\nx-kanaria-shadow: 1",
    );
}
