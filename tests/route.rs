//! Where requests go: shares, weights, flags, partitions, conditions, failover.

use std::time::Duration;

use crate::support::{
    Client, Counts, DEADLINE, File, Kanaria, Stub, get, request, share_z, sized, until, volley,
    within,
};

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

#[test]
fn cookieless_requests_split_thirty_to_seventy() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 70, ecs = 30").quiet());
    let n = sized(20_000, 100_000);
    let answers = volley(kanaria.public, n, 8, |_| get("/", ""));
    let counts: Counts = answers.iter().map(|answer| answer.stub()).collect();
    let z = share_z(counts.of("ecs"), n, 0.3);
    println!("asked 30:70, {n} requests: {counts}z = {z:.2}, bound 3.3");
    assert!(z.abs() < 3.3);
    assert_eq!(counts.total(), n);
    assert_eq!(
        (ec2.count(), ecs.count()),
        (counts.of("ec2"), counts.of("ecs"))
    );
}

#[test]
fn weight_zero_sends_nobody_and_a_full_weight_everybody() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    volley(kanaria.public, 200, 4, |_| get("/", ""));
    assert_eq!((ec2.count(), ecs.count()), (200, 0));
    kanaria.admin.set_web(0, 1);
    volley(kanaria.public, 200, 4, |_| get("/", ""));
    assert_eq!((ec2.count(), ecs.count()), (200, 200));
}

#[test]
fn weight_zero_evicts_on_open_connections() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 100"));
    let mut clients: Vec<Client> = (0..50).map(|_| kanaria.client()).collect();
    for client in &mut clients {
        assert_eq!(client.call(get("/", "")).stub(), "ecs");
    }
    kanaria.admin.set_web(100, 0);
    for client in &mut clients {
        assert_eq!(client.call(get("/", "")).stub(), "ec2");
    }
    assert_eq!(ecs.count(), 50);
}

#[test]
fn the_first_route_that_matches_wins_and_none_is_404() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0")
        .route("match = { host = [\"www.example.com\"] }")
        .before("[[routes]]\nname = \"api\"\nmatch = { path = [\"/api/*\"], method = [\"GET\"] }\nstable = \"ecs\"");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/api/1", "")).stub(), "ecs");
    assert_eq!(
        client.call(request("POST", "/api/1", "", "x")).stub(),
        "ec2"
    );
    assert_eq!(
        client
            .call(get("/", "Host: WWW.example.COM.:80\r\n"))
            .stub(),
        "ec2"
    );
    let answer = client.call(get("/", "Host: other.example.com\r\n"));
    assert_eq!((answer.status, answer.stub()), (404, ""));
    assert_eq!(answer.head.get("set-cookie"), None);
}

#[test]
fn a_flag_beats_every_weight_and_shows_itself_only_to_its_bearer() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(
        "[[routes.flags]]\nname = \"staff\"\ncookie = \"kanaria-flag\"\nvalue = \"preview\"\npool = \"ecs\"",
    );
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    for (one, other) in [(1, 0), (1, 1), (0, 1), (1, 0)] {
        kanaria.admin.set_web(one, other);
        let answer = client.call(get("/", "Cookie: kanaria-flag=preview\r\n"));
        assert_eq!(answer.stub(), "ecs");
        let decision = answer.head.get("kanaria-decision").expect("revealed");
        assert!(decision.contains("ecs"), "{decision}");
    }
    for line in [
        "",
        "Cookie: kanaria-flag=preview2\r\n",
        "Cookie: kanaria-flag=\r\n",
    ] {
        let answer = client.call(get("/", line));
        assert_eq!(answer.stub(), "ec2");
        assert_eq!(answer.head.get("kanaria-decision"), None);
    }
    let log = kanaria.log_of(7);
    assert_eq!(log[0]["reason"], "flag");
    assert_eq!(log[6]["reason"], "weight");
}

#[test]
fn a_flag_works_only_from_its_addresses() {
    let (ec2, ecs) = pair();
    let flag = |from: &str| {
        format!(
            "[[routes.flags]]\nname = \"qa\"\nheader = \"X-Canary\"\nvalue = \"on\"\npool = \"ecs\"\nfrom = [\"{from}\"]"
        )
    };
    for (from, stub) in [("127.0.0.0/8", "ecs"), ("10.0.0.0/8", "ec2")] {
        let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(&flag(from));
        let kanaria = Kanaria::start(&file);
        let answer = kanaria.client().call(get("/", "X-Canary: on\r\n"));
        assert_eq!(answer.stub(), stub, "{from}");
    }
}

#[test]
fn a_dead_canary_is_served_by_stable_and_charged_for_it() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ecs");
    ecs.die();
    let answers = volley(kanaria.public, 100, 4, |_| get("/", ""));
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.stub() == "ec2")
    );
    for line in &kanaria.log_of(101)[1..] {
        assert_eq!(line["reason"], "failover");
        assert_eq!(line["pool"], "ec2");
        assert_eq!(line["switched_from"], "ecs");
    }
    let failovers = kanaria
        .admin
        .metric("kanaria_requests_total", &["reason=\"failover\""]);
    assert_eq!(failovers, 100.0);
}

#[test]
fn without_failover_a_dead_canary_is_503() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").route("failover = \"none\"");
    let kanaria = Kanaria::start(&file);
    ecs.die();
    let mut client = kanaria.client();
    let statuses: Vec<u16> = (0..5)
        .map(|_| {
            let answer = client.try_call(get("/", ""));
            answer.map_or_else(
                |_| {
                    client = kanaria.client();
                    0
                },
                |answer| answer.status,
            )
        })
        .collect();
    println!("{statuses:?}");
    assert!(matches!(statuses[0], 502 | 503));
    assert_eq!(statuses[4], 503);
    assert_eq!(ec2.count(), 0);
}

#[test]
fn a_canary_that_fails_its_health_checks_gets_nobody_until_it_recovers() {
    let (ec2, ecs) = pair();
    ecs.set_healthy(false);
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").pool_keys(
        "ecs",
        "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }",
    );
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let healthy_ecs = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ecs\""]) == 1.0;
    until("the checks have failed", || {
        (ecs.checks() > 3 && !healthy_ecs()).then_some(())
    });
    let before = ecs.count();
    assert_eq!(client.call(get("/", "")).stub(), "ec2");
    assert_eq!(ecs.count(), before);
    ecs.set_healthy(true);
    until("the canary serves again", || {
        (client.call(get("/", "")).stub() == "ecs").then_some(())
    });
}

#[test]
fn a_refused_connection_is_tried_on_another_target() {
    let (one, other) = pair();
    let file = File::single(&one).pool("ec2", &[one.address, other.address]);
    let kanaria = Kanaria::start(&file);
    one.die();
    let answers = volley(kanaria.public, 60, 3, |n| match n % 2 {
        0 => get("/", ""),
        _ => request("POST", "/", "", "paid once"),
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(other.count(), 60);
    one.revive();
    // An ejected target returns after its time (ejection.base_time, 10 s by default).
    let back = within(DEADLINE, || {
        volley(kanaria.public, 10, 1, |_| get("/", ""));
        (one.count() > 0).then_some(())
    });
    assert!(back.is_some());
}

#[test]
fn targets_take_turns_by_weight() {
    let (one, other) = pair();
    let file = File::single(&one).after(&format!(
        "[pools.weighted]\ntargets = [\"{}\", {{ address = \"{}\", weight = 3 }}]\n",
        one.address, other.address
    ));
    let kanaria = Kanaria::start(&File::clone(&file).before(
        "[[routes]]\nname = \"weighted\"\nmatch = { path = [\"/w\"] }\nstable = \"weighted\"",
    ));
    volley(kanaria.public, 400, 1, |_| get("/w", ""));
    println!("1:3 of 400: {} {}", one.count(), other.count());
    assert!(one.count().abs_diff(100) <= 4, "{}", one.count());
}

#[test]
fn a_slow_target_is_504_and_a_full_pool_503() {
    let ec2 = Stub::with("ec2", |exchange| {
        if exchange.path() == "/slow" {
            // Longer than the pool waits; the router closes first.
            exchange.wire.patience(DEADLINE);
            exchange.wire.closed();
        }
        exchange.plain()
    });
    let file =
        File::single(&ec2).pool_keys("ec2", "response_timeout = \"300ms\"\nmax_requests = 1");
    let kanaria = Kanaria::start(&file);
    let mut slow = kanaria.client();
    slow.wire.send(get("/slow", "")).unwrap();
    until("the slow request is there", || {
        (ec2.count() == 1).then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).status, 503);
    assert_eq!(slow.answer(false).unwrap().status, 504);
    let answer = within(Duration::from_secs(2), || {
        Some(kanaria.client().call(get("/", ""))).filter(|answer| answer.status == 200)
    });
    assert!(answer.is_some());
    let log = kanaria.log_of(3);
    let errors: Vec<_> = log.iter().map(|line| line["error"].as_str()).collect();
    assert!(errors.contains(&Some("response_timeout")), "{errors:?}");
    assert!(errors.contains(&Some("pool_full")), "{errors:?}");
}
