//! Pins through decisions: who is kept, for how long, and who never is.

use std::sync::Arc;

use super::*;
use crate::decision::{Choice, Reason};
use crate::live::Live;
use crate::snapshot::Snapshot;
use crate::testing::{Sent, cookie_in, live, snapshot};

const HOUR: u64 = 3_600;
const START: u64 = 1_800_000_000;

fn site(sticky: &str) -> Snapshot {
    snapshot(&format!(
        "[[routes]]\nname = 'web'\nstable = 'ec2'\nweights = {{ ecs = 10, eks = 10, ec2 = 80 }}\nsticky = {{ {sticky} }}\n\
         flags = [{{ name = 'staff', header = 'X-Canary', value = '1', pool = 'eks' }}]\n"
    ))
}

fn weighing(snapshot: &Snapshot, ecs: u32, eks: u32, ec2: u32) -> Snapshot {
    let live = live("web", &[("ecs", ecs), ("eks", eks), ("ec2", ec2)]);
    snapshot.with_live(&live).unwrap()
}

/// A browser with our two cookies.
#[derive(Clone)]
struct Client {
    id: String,
    pin: Option<String>,
}

impl Client {
    /// One whose bucket is `wanted`.
    fn at(snapshot: &Snapshot, wanted: u16) -> Self {
        let id = cookie_in(snapshot, |bucket| bucket / 100 == wanted / 100);
        Self { id, pin: None }
    }

    fn asks(&self, snapshot: &Snapshot, now: u64, more: &str) -> Choice {
        let pin = self.pin.as_deref().unwrap_or_default();
        let id = &self.id;
        let sent = Sent::read(&format!(
            "GET a/\ncookie: kanaria={id}; kanaria-pin={pin}{more}"
        ));
        let facts = Facts {
            now,
            ..sent.facts()
        };
        snapshot.decide(&facts).choice.unwrap()
    }

    /// The pool it gets and why, after which it has the pin it was given.
    fn visits(&mut self, snapshot: &Snapshot, now: u64) -> String {
        let choice = self.asks(snapshot, now, "");
        let route = snapshot.structure.route_named("web").unwrap();
        if choice.new_pin {
            let forward = route.forward().unwrap();
            self.pin = Some(snapshot.pin_value(forward, choice.pool, now));
        }
        format!(
            "{} {}",
            snapshot.pool(choice.pool).name,
            choice.reason.as_str()
        )
    }
}

#[test]
fn a_pin_keeps_its_client_whatever_the_weights_until_it_expires() {
    let before = site("mode = 'pin', pin_for = '1h'");
    let (mut low, mut high) = (Client::at(&before, 100), Client::at(&before, 9_000));
    assert_eq!(low.visits(&before, START), "ecs weight");
    assert_eq!(high.visits(&before, START), "ec2 weight");
    let raised = weighing(&before, 98, 1, 1);
    let lowered = weighing(&before, 1, 1, 998);
    for snapshot in [&raised, &lowered] {
        assert_eq!(low.visits(snapshot, START + HOUR - 1), "ecs pin");
        assert_eq!(high.visits(snapshot, START + HOUR - 1), "ec2 pin");
    }
    assert_eq!(high.visits(&raised, START + HOUR), "ecs weight");
    assert_eq!(high.visits(&before, START + 2 * HOUR - 1), "ecs pin");
}

#[test]
fn weight_zero_evicts_pinned_clients_and_a_drain_does_not() {
    let before = site("mode = 'pin'");
    let mut client = Client::at(&before, 100);
    client.visits(&before, START);
    let mut drained = live("web", &[("ecs", 0), ("eks", 10), ("ec2", 90)]);
    let zero = before.with_live(&drained).unwrap();
    assert_eq!(client.clone().visits(&zero, START + 1), "eks weight");
    let web = drained.routes.get_mut("web").unwrap();
    Arc::make_mut(web).draining.insert("ecs".into());
    let drained = before.with_live(&drained).unwrap();
    assert_eq!(client.visits(&drained, START + 1), "ecs pin");
    assert_eq!(
        Client::at(&before, 100).visits(&drained, START),
        "eks weight"
    );
    assert_eq!(client.visits(&drained, START + 24 * HOUR), "eks weight");
}

#[test]
fn a_reshuffle_ends_all_pins() {
    let before = site("mode = 'pin'");
    let mut client = Client::at(&before, 100);
    client.visits(&before, START);
    let live = Live {
        epochs: [("default".to_owned(), 1)].into(),
        ..Live::default()
    };
    let choice = client.asks(&before.with_live(&live).unwrap(), START, "");
    assert_eq!((choice.reason, choice.new_pin), (Reason::Weight, true));
}

#[test]
fn what_is_not_a_pin_of_ours_counts_as_none() {
    let snapshot = site("mode = 'pin'");
    let mut client = Client::at(&snapshot, 9_000);
    let forward = snapshot
        .structure
        .route_named("web")
        .unwrap()
        .forward()
        .unwrap();
    let true_pin = snapshot.pin_value(forward, forward.pools[0], START);
    client.pin = Some(true_pin.clone());
    assert_eq!(client.visits(&snapshot, START), "ecs pin");
    let (body, signature) = true_pin.rsplit_once('.').unwrap();
    for forged in [
        String::new(),
        "ecs".into(),
        "..".into(),
        body.into(),
        format!("{body}."),
        format!("{body}.AAAAAAAAAAAAAAAAAAAAAA"),
        true_pin.replace("ecs", "eks"),
        true_pin.replace("ecs", "none"),
        format!("ecs.{:x}.{signature}", START + 1),
        format!("ecs.zz.{signature}"),
        format!("ecs.ffffffffffffffffff.{signature}"),
        format!("x.{true_pin}"),
    ] {
        client.pin = Some(forged);
        let choice = client.asks(&snapshot, START, "");
        let found = (choice.reason, choice.new_pin);
        assert_eq!(found, (Reason::Weight, true), "{:?}", client.pin);
    }
    // Another router's clock may be ahead.
    client.pin = Some(true_pin);
    assert_eq!(client.visits(&snapshot, START - 30), "ecs pin");
}

#[test]
fn a_hold_delays_what_is_given_more_and_never_a_way_back() {
    let before = site("hold_up = '1h'");
    let mut client = Client::at(&before, 9_000);
    assert_eq!(client.visits(&before, START), "ec2 weight");
    let raised = weighing(&before, 95, 1, 4);
    assert_eq!(client.visits(&raised, START + HOUR), "ec2 pin");
    assert_eq!(
        client.visits(&raised, START + HOUR + HOUR / 2 - 1),
        "ec2 pin"
    );
    assert_eq!(
        client.visits(&raised, START + HOUR + HOUR / 2),
        "ecs weight"
    );
    assert_eq!(
        client.visits(&before, START + HOUR + HOUR / 2 + 1),
        "ec2 weight"
    );
}

#[test]
fn whoever_was_seen_within_the_hold_keeps_its_pool_although_pins_are_given_seldom() {
    let before = site("hold_up = '1h'");
    let mut client = Client::at(&before, 9_000);
    client.visits(&before, START);
    let pin = client.pin.clone();
    client.visits(&before, START + HOUR / 2);
    assert_eq!(client.pin, pin, "a pin of half an hour needs no other");
    let raised = weighing(&before, 95, 1, 4);
    assert_eq!(
        client.clone().visits(&raised, START + HOUR / 2 + HOUR - 1),
        "ec2 pin"
    );
    client.visits(&before, START + HOUR / 2 + 1);
    assert_ne!(client.pin, pin);
}

#[test]
fn a_hold_ends_where_a_pool_has_no_weight_and_holds_nobody_on_the_way_to_a_later_pool() {
    let before = site("hold_up = '1h'");
    let mut stable = Client::at(&before, 9_000);
    stable.visits(&before, START);
    assert_eq!(
        stable.visits(&weighing(&before, 100, 0, 0), START + 1),
        "ecs weight"
    );
    let mut first = Client::at(&before, 900);
    assert_eq!(first.visits(&before, START), "ecs weight");
    assert_eq!(
        first.visits(&weighing(&before, 1, 19, 80), START + 1),
        "eks weight"
    );
    assert_eq!(
        first.visits(&weighing(&before, 10, 10, 80), START + 2),
        "eks pin"
    );
}

#[test]
fn flagged_clients_and_those_known_by_a_key_get_no_pin() {
    let snapshot = site("mode = 'pin'");
    let mut client = Client::at(&snapshot, 9_000);
    let choice = client.asks(&snapshot, START, "\nx-canary: 1");
    assert_eq!((choice.reason, choice.new_pin), (Reason::Flag, false));
    client.visits(&snapshot, START);
    let choice = client.asks(&snapshot, START, "\nx-canary: 1");
    assert_eq!(choice.reason, Reason::Flag);
    let keyed = site("hold_up = '1h', keys = ['header:X-User']");
    let sent = Sent::read("GET a/\nx-user: 7");
    assert!(!keyed.decide(&sent.facts()).choice.unwrap().new_pin);
}
