//! Tickets under keys and at times of our choice.

use super::*;

const NOON: u64 = 1_800_000_000;

fn ring(keys: &[&str]) -> Ring {
    let lines: String = keys.iter().map(|key| key.repeat(64) + "\n").collect();
    Ring::parse(lines.as_bytes()).unwrap()
}

fn tickets(keys: &[&str], terms: &str) -> Tickets {
    Tickets::new(&ring(keys), terms.into())
}

#[test]
fn a_ticket_is_opened_under_the_same_key_by_whomever() {
    let ticket = tickets(&["a"], "").seal(b"session", NOON).unwrap();
    let other = tickets(&["b", "a"], "");
    assert_eq!(other.open(&ticket, NOON).unwrap(), b"session");
    assert_eq!(tickets(&["b"], "").open(&ticket, NOON), None);
    // The first one seals.
    let ticket = other.seal(b"session", NOON).unwrap();
    assert_eq!(tickets(&["a"], "").open(&ticket, NOON), None);
    assert!(tickets(&["b"], "").open(&ticket, NOON).is_some());
}

#[test]
fn two_tickets_of_one_session_have_nothing_in_common_but_the_name_of_the_key() {
    let tickets = tickets(&["a"], "");
    let [one, two] = [(); 2].map(|()| tickets.seal(&[0; 64], NOON).unwrap());
    assert_eq!(one[..NAME], two[..NAME]);
    let same = one[NAME..].iter().zip(&two[NAME..]).filter(|(a, b)| a == b);
    assert!(same.count() < 16);
}

#[test]
fn what_was_changed_or_cut_opens_nothing() {
    let tickets = tickets(&["a"], "");
    let ticket = tickets.seal(b"session", NOON).unwrap();
    for position in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[position] ^= 1;
        assert_eq!(tickets.open(&changed, NOON), None, "{position}");
        assert_eq!(tickets.open(&ticket[..position], NOON), None, "{position}");
    }
}

#[test]
fn a_ticket_ends_after_its_time_and_is_not_from_the_future() {
    let tickets = tickets(&["a"], "");
    let ticket = tickets.seal(b"session", NOON).unwrap();
    let life = u64::from(LIFETIME);
    assert!(tickets.open(&ticket, NOON + life - 1).is_some());
    assert_eq!(tickets.open(&ticket, NOON + life), None);
    assert!(tickets.open(&ticket, NOON - SKEW).is_some());
    assert_eq!(tickets.open(&ticket, NOON - SKEW - 1), None);
}

#[test]
fn a_session_is_of_no_use_under_other_terms() {
    let ticket = tickets(&["a"], "nobody is asked")
        .seal(b"session", NOON)
        .unwrap();
    let asking = tickets(&["a"], "clients are asked");
    assert_eq!(asking.open(&ticket, NOON), None);
}

#[test]
fn keys_are_turned_while_tickets_are_out() {
    let tickets = tickets(&["a"], "");
    let ticket = tickets.seal(b"session", NOON).unwrap();
    let next = ring(&["a"]).followed_by(ring(&["b"]));
    tickets.turn(&next);
    assert!(tickets.open(&ticket, NOON).is_some());
    let new = tickets.seal(b"session", NOON).unwrap();
    assert_ne!(new[..NAME], ticket[..NAME]);
    tickets.turn(&next.followed_by(ring(&["c"])));
    assert_eq!(tickets.open(&ticket, NOON), None);
    assert!(tickets.open(&new, NOON).is_some());
}
