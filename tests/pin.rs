//! Clients that must not change their pool: pins, holds, and a pool that drains.

use serde_json::{Value, json};

use crate::support::{Counts, File, Jar, Kanaria, Stub, get};

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

fn start(ec2: &Stub, ecs: &Stub, weights: &str, sticky: &str) -> Kanaria {
    Kanaria::start(&File::split(ec2, ecs, weights).route(&format!("sticky = {{ {sticky} }}")))
}

fn visits(kanaria: &Kanaria, jars: &mut [Jar]) -> Vec<String> {
    let mut client = kanaria.client();
    let visit = |jar: &mut Jar| jar.visit(&mut client, "/").stub().to_owned();
    jars.iter_mut().map(visit).collect()
}

fn share(pools: &[String]) -> f64 {
    let counts: Counts = pools.iter().map(String::as_str).collect();
    counts.share("ecs")
}

#[test]
fn pinned_clients_keep_their_pool_through_a_ramp_and_new_ones_follow_the_weights() {
    let (ec2, ecs) = pair();
    let kanaria = start(
        &ec2,
        &ecs,
        "ec2 = 90, ecs = 10",
        "mode = \"pin\", pin_for = \"1d\"",
    );
    let mut jars = vec![Jar::default(); 400];
    let first = visits(&kanaria, &mut jars);
    for ecs in [1, 50, 99] {
        kanaria.admin.set_web(100 - ecs, ecs);
        assert_eq!(visits(&kanaria, &mut jars), first, "at {ecs} %");
    }
    let new = visits(&kanaria, &mut vec![Jar::default(); 400]);
    println!("new clients at 99 %: {}, bound 0.02", share(&new));
    assert!((share(&new) - 0.99).abs() <= 0.02);
    kanaria.admin.set_web(100, 0);
    let all = visits(&kanaria, &mut jars);
    assert_eq!(share(&all), 0.0, "weight 0 evicts pinned clients");
}

#[test]
fn the_pin_is_a_cookie_of_its_own_that_no_target_sees() {
    let (ec2, ecs) = pair();
    let kanaria = start(
        &ec2,
        &ecs,
        "ec2 = 0, ecs = 1",
        "mode = \"pin\", pin_for = \"2h\"",
    );
    let mut client = kanaria.client();
    let answer = client.call(get("/", ""));
    let lines: Vec<_> = answer.head.all("set-cookie").collect();
    let pin = lines
        .iter()
        .find(|line| line.starts_with("kanaria-pin=ecs."));
    let (value, attributes) = pin.expect("a pin").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Max-Age=7200");
    assert!(
        lines.iter().any(|line| line.starts_with("kanaria=")),
        "{lines:?}"
    );
    let answer = client.call(get("/", &format!("Cookie: a=b; {value}; c=d\r\n")));
    assert_eq!(answer.stub(), "ecs");
    let seen = ecs.last();
    assert_eq!(seen.head.get("cookie"), Some("a=b; c=d"));
    assert_eq!(seen.head.get("kanaria-reason"), Some("pin"));
    let forged = value.replace("ecs", "ec2");
    let answer = client.call(get("/", &format!("Cookie: {forged}\r\n")));
    assert!(
        answer
            .head
            .all("set-cookie")
            .any(|line| line.starts_with("kanaria-pin=ecs."))
    );
    let answer = client.call(get("/?cache", &format!("Cookie: {value}\r\n")));
    assert!(
        answer
            .head
            .all("set-cookie")
            .all(|line| !line.starts_with("kanaria-pin"))
    );
    let log = kanaria.log_of(4);
    let reasons: Vec<_> = log.iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, ["weight", "pin", "weight", "pin"]);
}

#[test]
fn a_drained_pool_keeps_whom_it_has_until_a_rollback_and_survives_a_restart() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 50, ecs = 50", "mode = \"pin\"");
    let mut jars = vec![Jar::default(); 100];
    let first = visits(&kanaria, &mut jars);
    let outcome = kanaria.run(&["drain", "web", "ecs", "--reason", "goes away"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("who is pinned to it keeps it for up to 1d"),
        "{}",
        outcome.stdout
    );
    assert_eq!(visits(&kanaria, &mut jars), first);
    assert_eq!(
        share(&visits(&kanaria, &mut vec![Jar::default(); 100])),
        0.0
    );
    let status = kanaria.run(&["status", "web"]);
    assert!(status.stdout.contains("ecs drains"), "{}", status.stdout);
    let folder = kanaria.kill();
    let kanaria = Kanaria::start_there(folder, &[]);
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["draining"],
        json!(["ecs"])
    );
    assert_eq!(visits(&kanaria, &mut jars), first);
    let explained = kanaria.run(&[
        "explain",
        "GET",
        "http://www.example.com/",
        "-H",
        jars[0].line().trim_end(),
    ]);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert_eq!(kanaria.run(&["rollback"]).code, Some(0));
    assert_eq!(
        share(&visits(&kanaria, &mut jars)),
        0.0,
        "rollback beats pins"
    );
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["draining"],
        Value::Null
    );
}

#[test]
fn a_drain_that_makes_no_sense_is_refused() {
    let (ec2, ecs) = pair();
    let pinning = start(&ec2, &ecs, "ec2 = 90, ecs = 10", "mode = \"pin\"");
    let refused = |kanaria: &Kanaria, pool: &str, message: &str| {
        let outcome = kanaria.run(&["drain", "web", pool]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    };
    refused(
        &pinning,
        "eks",
        "pool `eks` does not exist; pools are ec2, ecs",
    );
    pinning.admin.set_web(100, 0);
    refused(&pinning, "ecs", "it has no clients that could finish");
    refused(&pinning, "ec2", "weights are all 0");
    assert_eq!(pinning.run(&["rollback"]).code, Some(0));
    let by_bucket = start(&ec2, &ecs, "ec2 = 90, ecs = 10", "mode = \"bucket\"");
    refused(&by_bucket, "ecs", "pins nobody");
}

#[test]
fn field_gree_13_a_form_is_sent_where_it_was_loaded_although_the_weight_rose() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 90, ecs = 10", "hold_up = \"10m\"");
    let mut jars = vec![Jar::default(); 1_000];
    let form = visits(&kanaria, &mut jars);
    kanaria.admin.set_web(50, 50);
    assert_eq!(visits(&kanaria, &mut jars), form, "submit within the hold");
    let new = visits(&kanaria, &mut vec![Jar::default(); 400]);
    println!("new clients at 50 %: {}, bound 0.03", share(&new));
    assert!(
        (share(&new) - 0.5).abs() <= 0.03,
        "new clients are not held"
    );
    kanaria.admin.set_web(95, 5);
    let lowered = visits(&kanaria, &mut jars);
    assert!(
        share(&lowered) < share(&form),
        "a way back is never delayed"
    );
    kanaria.admin.set_web(100, 0);
    assert_eq!(share(&visits(&kanaria, &mut jars)), 0.0);
}
