//! The index finds what asking every route in order finds.

use proptest::prelude::*;

use crate::ids::RouteId;
use crate::matching::Request;
use crate::partition;
use crate::snapshot::Snapshot;
use crate::testing::{Sent, snapshot};

/// What the index answers, what asking everybody answers, and how many routes the index asked.
fn first(snapshot: &Snapshot, sent: &Sent) -> (Option<RouteId>, Option<RouteId>, usize) {
    let facts = sent.facts();
    let mut room = [0; _];
    let host = partition::normalize(facts.host, &mut room);
    let structure = &snapshot.structure;
    let request = Request {
        facts: &facts,
        host,
        partition: structure.partitions.of(&facts, host),
        path: facts.path.as_bytes(),
    };
    let asked = std::cell::Cell::new(0);
    let indexed = structure.index.first(&request, |id| {
        asked.set(asked.get() + 1);
        snapshot.route(id).takes(&request)
    });
    let linear = structure.routes.iter().find(|route| route.takes(&request));
    (indexed, linear.map(|route| route.id), asked.get())
}

fn routes(matches: &[String]) -> String {
    let routes = matches.iter().enumerate().map(|(n, matches)| {
        format!("[[routes]]\nname = 'r{n}'\nstable = 'ec2'\nmatch = {{ {matches} }}\n")
    });
    routes.collect()
}

/// Few words, so that many routes and requests meet.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "(a|b|www|A)\\.(a|b|pro\\.blogs|blogs)\\.example",
        "(a|b)\\.example",
        "(a\\.){0,3}example",
    ]
}

fn matches() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        host(),
        host().prop_map(|host| format!("*.{host}")),
        Just("*".to_owned()),
        Just("a*".to_owned()),
        Just("*.blogs.?xample".to_owned()),
    ];
    let hosts = prop::collection::vec(values, 1..4)
        .prop_map(|hosts| format!("host = ['{}']", hosts.join("', '")));
    let partitions = prop::sample::subsequence(vec!["main", "blogs", "pro", "images"], 1..4)
        .prop_map(|names| format!("partition = ['{}']", names.join("', '")));
    let regex = Just("host = [{ regex = '^a' }, 'b.example']".to_owned());
    let path = Just("path = '/x*'".to_owned());
    let one =
        prop_oneof![4 => hosts, 3 => partitions, 1 => regex, 1 => path, 1 => Just(String::new())];
    (one, any::<bool>()).prop_map(|(one, path)| match path {
        true if !one.is_empty() && !one.starts_with("path") => format!("{one}, path = '/x*'"),
        _ => one,
    })
}

proptest! {
    #[test]
    fn the_index_finds_what_asking_every_route_finds(
        matches in prop::collection::vec(matches(), 1..12),
        requests in prop::collection::vec((host(), "/(x|y)"), 20),
    ) {
        let snapshot = snapshot(&routes(&matches));
        for (host, path) in requests {
            let sent = Sent::read(&format!("GET {host}:80{path}"));
            let (indexed, linear, _) = first(&snapshot, &sent);
            prop_assert_eq!(indexed, linear, "{} {}", host, path);
        }
    }
}

#[test]
fn of_many_routes_only_those_of_the_host_are_asked() {
    let mut matches: Vec<String> = (0..500).map(|n| format!("host = 'h{n}.example'")).collect();
    matches.extend((0..500).map(|n| format!("host = '*.s{n}.example', method = 'GET'")));
    matches.push("path = '/rest'".into());
    matches.push("host = 'h3.example', path = '/late'".into());
    let snapshot = snapshot(&routes(&matches));
    let check = |request: &str, expect: Option<u32>, n_asked: usize| {
        let (indexed, linear, asked) = first(&snapshot, &Sent::read(request));
        assert_eq!(indexed, expect.map(RouteId), "{request}");
        assert_eq!(indexed, linear, "{request}");
        assert_eq!(asked, n_asked, "{request}");
    };
    check("GET h499.example/", Some(499), 1);
    check("GET a.s499.example/", Some(999), 1);
    check("PUT a.s499.example/", None, 2);
    check("GET nowhere/rest", Some(1000), 1);
    check("GET nowhere/", None, 1);
    check("GET h3.example/late", Some(3), 1);
}

#[test]
fn of_many_routes_only_those_of_the_partition_are_asked() {
    let matches: Vec<String> = (0..900)
        .map(|n| format!("partition = '{}'", ["blogs", "pro", "images"][n % 3]))
        .collect();
    let snapshot = snapshot(&routes(&matches));
    let (indexed, linear, asked) = first(&snapshot, &Sent::read("GET cdn.images.example/"));
    assert_eq!(
        (indexed, linear, asked),
        (Some(RouteId(2)), Some(RouteId(2)), 1)
    );
    let (indexed, linear, asked) = first(&snapshot, &Sent::read("GET a/"));
    assert_eq!((indexed, linear, asked), (None, None, 0));
}
