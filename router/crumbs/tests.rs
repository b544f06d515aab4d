//! Cookies in, sightings out.

use std::sync::atomic::Ordering::Relaxed;

use config::decision::Reason;
use jar::{Act, Origin};
use serde_json::json;

use super::*;
use crate::testing::{choice, structure};

const NOW: u64 = 1_800_000_000;

fn place(now: u64) -> Place<'static> {
    let origin = Origin {
        host: "www.example.com",
        path: "/login",
        secure: true,
    };
    Place {
        origin,
        now: now as i64,
    }
}

fn aligned(registry: &Registry, pools: serde_json::Value) -> Arc<Crumbs> {
    registry.align(&structure(&pools, &json!([])));
    registry.of("blogs").expect("a route with two pools")
}

fn set(crumbs: &Crumbs, pool: u16, lines: &[&str], now: u64) {
    let lines = || lines.iter().map(|line| line.as_bytes());
    crumbs.of(PoolId(pool)).unwrap().set(lines, &place(now));
}

fn counts(table: &Table, now: u64) -> Vec<(String, Act, bool, u64)> {
    let sightings = table.sightings(now);
    let mut counts: Vec<_> = sightings
        .map(|it| {
            (
                it.crumb.name.clone(),
                it.crumb.act,
                it.crumb.beside,
                it.count,
            )
        })
        .collect();
    counts.sort_by(|one, other| one.0.cmp(&other.0));
    counts
}

#[test]
fn a_kind_is_kept_once_and_counted() {
    let crumbs = aligned(&Registry::default(), json!({}));
    for n in 0..1_000 {
        set(&crumbs, 0, &[&format!("sess={n}; Max-Age=60")], NOW);
    }
    set(
        &crumbs,
        0,
        &["lang=ja", "theme=; Max-Age=0", "theme=dark"],
        NOW,
    );
    let table = crumbs.of(PoolId(0)).unwrap();
    let mut expected = vec![
        ("lang".to_owned(), Act::Set, false, 1),
        ("sess".to_owned(), Act::Set, false, 1_000),
        ("theme".to_owned(), Act::Delete, true, 1),
        ("theme".to_owned(), Act::Set, false, 1),
    ];
    let mut found = counts(table, NOW);
    found.sort_by_key(|it| (it.0.clone(), it.2));
    expected.sort_by_key(|it| (it.0.clone(), it.2));
    assert_eq!(found, expected);
    assert!(
        crumbs
            .of(PoolId(1))
            .unwrap()
            .sightings(NOW)
            .next()
            .is_none()
    );
    assert!(table.take_fresh() && !table.take_fresh());
}

#[test]
fn what_was_not_set_for_a_day_is_forgotten() {
    let crumbs = aligned(&Registry::default(), json!({}));
    set(&crumbs, 0, &["sess=1"], NOW);
    let table = crumbs.of(PoolId(0)).unwrap();
    assert_eq!(counts(table, NOW + 86_399).len(), 1);
    assert!(counts(table, NOW + 86_400).is_empty());
    set(&crumbs, 0, &["sess=1"], NOW + 90_000);
    assert_eq!(counts(table, NOW + 90_001)[0].3, 2);
}

#[test]
fn memory_is_bounded_whatever_an_application_sets() {
    let registry = Registry::default();
    let crumbs = aligned(&registry, json!({}));
    let lines: Vec<_> = (0..10_000).map(|n| format!("cart{n}=1")).collect();
    let measured = allocation_counter::measure(|| {
        for line in &lines {
            set(&crumbs, 0, &[line], NOW);
        }
    });
    let kib = measured.bytes_current / 1024;
    println!("{kib} KiB for 10,000 kinds of a pool, bound 64");
    assert!((1..64).contains(&kib));
    let table = crumbs.of(PoolId(0)).unwrap();
    assert!(table.beyond() > 9_000);
    let again = allocation_counter::measure(|| set(&crumbs, 0, &[&lines[0]], NOW));
    assert_eq!(
        again.count_total, 0,
        "a kind that is known allocates nothing"
    );
}

#[test]
fn what_was_seen_of_a_pool_lasts_until_its_rules_change() {
    let registry = Registry::default();
    let crumbs = aligned(&registry, json!({}));
    set(&crumbs, 0, &["sess=1"], NOW);
    set(&crumbs, 1, &["sess=1"], NOW);
    let crumbs = aligned(&registry, json!({}));
    assert_eq!(counts(crumbs.of(PoolId(0)).unwrap(), NOW).len(), 1);
    let crumbs = aligned(
        &registry,
        json!({"cookies": {"response": {"drop": ["sess"]}}}),
    );
    assert!(
        crumbs
            .tables
            .iter()
            .all(|table| table.sightings(NOW).next().is_none())
    );
}

#[test]
fn names_that_are_sent_twice_are_counted_up_to_a_bound() {
    let requests = Requests::default();
    for n in 0..100 {
        assert_eq!(&*requests.sent_twice(b"sess"), "sess");
        requests.sent_twice(format!("n{n}").as_bytes());
    }
    let names: Vec<_> = requests.names().collect();
    assert_eq!((names.len(), names[0]), (16, ("sess", 100)));
    assert_eq!(requests.twice.load(Relaxed), 200);
    assert_eq!(requests.sent_twice(&[b'x'; 4000]).len(), 128);
}

#[test]
fn a_part_of_a_page_that_another_pool_served_is_skew() {
    let host = b"www.example.com";
    let check = |reason, new, referer: &str, expected| {
        let mut choice = choice(0, reason, Some(1));
        choice.new_id = Some([0; 16]).filter(|_| new);
        assert_eq!(
            Skew::of(&choice, host, referer.as_bytes()),
            expected,
            "{referer}"
        );
    };
    let page = "https://WWW.example.com/page?x";
    check(Reason::Failover, false, page, Some(Skew::Failover));
    check(Reason::Cap, false, page, Some(Skew::Cap));
    check(Reason::Fallback, true, page, Some(Skew::Fallback));
    check(Reason::Weight, true, page, Some(Skew::Cookieless));
    check(Reason::Weight, false, page, None);
    check(Reason::Flag, true, page, None);
    check(Reason::Failover, false, "https://other.example.com/", None);
    check(Reason::Failover, false, "", None);
}
