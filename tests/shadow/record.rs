//! Copies that are written down, and sent once more.

use std::fs;

use super::{TABLE, met, pair};
use crate::support::{After, File, Kanaria, Stub, get, request, until};

#[test]
fn copies_are_recorded_without_secrets_and_sent_once_more() {
    let (ec2, ecs) = pair();
    let keys = "methods = [\"GET\", \"POST\"]\nunsafe_methods = true\ndrop_headers = []\nrecord = \"captured.jsonl\"\nredact = [\"query:token\", \"header:X-Api-Key\"]\n";
    let file = File::single(&ec2)
        .pool("ecs", &[ecs.address])
        .pool("next", &[ecs.address]);
    let kanaria = Kanaria::start(&file.route(&format!("{TABLE}{keys}")));
    let mut client = kanaria.client();
    let secrets =
        "Cookie: a=s3cret\r\nAuthorization: Bearer s3cret\r\nX-Api-Key: s3cret\r\nX-Own: 1\r\n";
    for n in 0..20 {
        client.call(get(&format!("/p/{n}?token=s3cret&a=1"), secrets));
    }
    client.call(request("POST", "/form", secrets, "b=2"));
    met(&kanaria, "answered", 21);
    let recorded = fs::read_to_string(kanaria.path("captured.jsonl")).unwrap();
    assert_eq!(recorded.lines().count(), 21);
    assert!(!recorded.contains("s3cret"), "{recorded}");
    let view = kanaria.admin.get("/api/v1/routes/web/shadow");
    assert_eq!(
        view["recorded"],
        serde_json::json!({"requests": 21, "ended": null})
    );
    let before = ecs.count();
    let asked = [
        "shadow",
        "run",
        "captured.jsonl",
        "--against",
        "next",
        "--rate",
        "200",
    ];
    let outcome = kanaria.run(&asked);
    println!("{}", outcome.stdout);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stdout.starts_with("21 requests to pool next"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.took.as_millis() >= 100, "{:?}", outcome.took);
    let again = &ecs.seen()[before..];
    assert_eq!(again.len(), 21);
    let form = again
        .iter()
        .find(|seen| seen.head.line.starts_with("POST"))
        .unwrap();
    assert_eq!(
        (&*form.body, form.head.get("x-own")),
        (&b"b=2"[..], Some("1"))
    );
    assert_eq!(form.head.get("kanaria-pool"), Some("next"));
    assert!(
        again
            .iter()
            .all(|seen| seen.head.get("x-kanaria-shadow") == Some("1"))
    );
    for (wrong, expect) in [
        (["none.jsonl", "next"], "none.jsonl"),
        (["captured.jsonl", "nxt"], "no pool is called `nxt`"),
        (["kanaria.toml", "next"], "line 1"),
    ] {
        let outcome = kanaria.run(&["shadow", "run", wrong[0], "--against", wrong[1]]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        assert!(outcome.stderr.contains(expect), "{}", outcome.stderr);
    }
}

#[test]
fn a_record_that_cannot_be_written_is_told_and_changes_nothing_else() {
    let (ec2, ecs) = pair();
    let file = File::single(&ec2).pool("ecs", &[ecs.address]);
    let kanaria = Kanaria::start(&file.clone().route(TABLE));
    let table = format!("{TABLE}record = \"no/such/folder/captured.jsonl\"\n");
    kanaria.rewrite(&file.clone().route(&table).text());
    let outcome = kanaria.run(&["reload"]);
    let told = outcome.stdout + &outcome.stderr;
    assert!(
        told.contains("no request is recorded") && told.contains("no/such/folder"),
        "{told}"
    );
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    met(&kanaria, "answered", 1);
    let table = format!("{TABLE}record = \"captured.jsonl\"\nrecord_size = \"100B\"\n");
    kanaria.rewrite(&file.route(&table).text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    met(&kanaria, "answered", 2);
    let view = kanaria.admin.get("/api/v1/routes/web/shadow");
    assert_eq!(view["recorded"]["requests"], 0);
    assert!(view["recorded"]["ended"].is_string(), "{view}");
}

/// Whoever records may have no pool yet.
#[test]
fn what_a_failing_pool_is_spared_is_recorded_all_the_same() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", |_| Ok(After::Reset));
    let keys = "record = \"captured.jsonl\"\nmax_in_flight = 10000\n";
    let file = File::single(&ec2).pool("ecs", &[ecs.address]);
    let kanaria = Kanaria::start(&file.route(&format!("{TABLE}{keys}")));
    let count = |labels: &[&str]| kanaria.admin.metric("kanaria_shadow_total", labels) as usize;
    let (mut client, mut n) = (kanaria.client(), 0);
    until("a pause", || {
        client.call(get("/", ""));
        n += 1;
        (count(&["result=\"dropped_backoff\""]) > 0).then_some(())
    });
    until("every copy has met its fate", || {
        (count(&[]) == n).then_some(())
    });
    let recorded = fs::read_to_string(kanaria.path("captured.jsonl")).unwrap();
    assert_eq!(recorded.lines().count(), n);
}
