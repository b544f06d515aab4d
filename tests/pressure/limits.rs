//! How many requests a pool and a target have at a time.

use super::holding;
use crate::support::{File, Kanaria, Stub, get, until};

#[test]
fn a_full_canary_is_relieved_and_not_charged() {
    let ((ecs, go), ec2) = (holding("ecs"), Stub::start("ec2"));
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").pool_keys("ecs", "max_requests = 1");
    let kanaria = Kanaria::start(&file);
    let mut held = kanaria.client();
    held.wire.send(get("/held", "")).unwrap();
    until("the canary has one", || (ecs.count() == 1).then_some(()));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    go.send(()).unwrap();
    assert_eq!(held.answer(false).unwrap().stub(), "ecs");
    let line = kanaria
        .log_of(2)
        .into_iter()
        .find(|line| line["pool"] == "ec2");
    let line = line.unwrap();
    assert_eq!(line["reason"], "cap");
    assert_eq!(line["switched_from"], "ecs");
}

#[test]
fn a_target_that_has_enough_gets_no_more_and_the_pool_is_full_when_all_have() {
    let ((one, go_one), (other, go_other)) = (holding("one"), holding("other"));
    let file = File::single(&one)
        .pool("ec2", &[one.address, other.address])
        .pool_keys("ec2", "max_requests_per_target = 1");
    let kanaria = Kanaria::start(&file);
    let mut held = [kanaria.client(), kanaria.client()];
    for client in &mut held {
        client.wire.send(get("/held", "")).unwrap();
    }
    until("each target has one", || {
        (one.count() == 1 && other.count() == 1).then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).status, 503);
    go_one.send(()).unwrap();
    go_other.send(()).unwrap();
    for client in &mut held {
        assert_eq!(client.answer(false).unwrap().status, 200);
    }
    until("there is room again", || {
        (kanaria.client().call(get("/", "")).status == 200).then_some(())
    });
    let full = kanaria
        .log_of(3)
        .iter()
        .filter(|line| line["error"] == "pool_full")
        .count();
    assert!(full >= 1);
}
