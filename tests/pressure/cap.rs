//! What a route lets its canaries have.

use rustix::process::Signal;

use super::holding;
use crate::support::{File, Kanaria, Stub, get, until, volley};

/// A flag to `ecs`, and a cap.
fn route(cap: &str) -> String {
    format!(
        "[[routes.flags]]\nname = \"staff\"\nheader = \"X-Canary\"\nvalue = \"1\"\npool = \"ecs\"\n[routes.cap]\n{cap}"
    )
}

#[test]
fn flagged_requests_are_capped_after_a_rollback_too_and_told_so() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(&route("max_rps = 1"));
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let mut ask = || client.call(get("/", "X-Canary: 1\r\n"));
    assert_eq!(ask().stub(), "ecs");
    let over = ask();
    assert_eq!(over.stub(), "ec2");
    let told = over.head.get("kanaria-decision").unwrap();
    assert_eq!(told, "route=web; pool=ec2; reason=cap");
    let head = ec2.last().head;
    assert_eq!(head.get("kanaria-pool"), Some("ec2"));
    assert_eq!(head.get("kanaria-reason"), Some("cap"));
    let log = kanaria.log_of(2);
    let line = log.iter().find(|line| line["pool"] == "ec2").unwrap();
    assert_eq!(line["reason"], "cap");
    assert_eq!(line["switched_from"], "ecs");
    let switched = |cause| {
        let label = format!("cause=\"{cause}\"");
        kanaria
            .admin
            .metric("kanaria_pool_switches_total", &[&label])
    };
    assert_eq!((switched("cap"), switched("failover")), (1.0, 0.0));
}

#[test]
fn requests_at_a_time_are_bounded_and_neither_reload_nor_weights_forget_them() {
    let (ecs, go) = holding("ecs");
    let ec2 = Stub::start("ec2");
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").route(&route("max_concurrent = 2"));
    let kanaria = Kanaria::start(&file);
    let mut held = [kanaria.client(), kanaria.client()];
    for client in &mut held {
        client.wire.send(get("/held", "")).unwrap();
    }
    until("both are at the canary", || {
        (ecs.count() == 2).then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    kanaria.signal(Signal::HUP);
    kanaria.admin.set_web(1, 99);
    let over = volley(kanaria.public, 20, 2, |_| get("/", ""));
    assert!(over.iter().all(|answer| answer.stub() == "ec2"));
    let cap = &kanaria.admin.get("/api/v1/routes/web")["cap"];
    assert_eq!(cap["canaries"]["ecs"]["in_flight"], 2, "{cap}");
    // Either of the two may hear the first.
    (0..2).for_each(|_| go.send(()).unwrap());
    for client in &mut held {
        assert_eq!(client.answer(false).unwrap().stub(), "ecs");
    }
    let back = volley(kanaria.public, 20, 1, |_| get("/", "X-Canary: 1\r\n"));
    assert!(back.iter().all(|answer| answer.stub() == "ecs"));
}

#[test]
fn a_cap_is_shown_and_explained() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1")
        .route(&route("max_rps = 50\nmax_concurrent = 8"));
    let kanaria = Kanaria::start(&file);
    let status = kanaria.run(&["status"]).stdout;
    let line = "  cap 50 requests/s, 8 at a time; ecs has 0 in flight, 50 of 50 tokens left\n";
    assert!(status.contains(line), "{status}");
    let explained = kanaria.run(&["explain", "GET", "http://www.example.com/"]);
    let text = "`ecs` gets at most 50 requests a second and 8 at a time from this router; what is over goes to `ec2` with reason `cap`";
    assert!(explained.stdout.contains(text), "{explained:?}");
}
