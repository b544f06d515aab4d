//! Customs of a machine that a test writes down.

use std::fs;

use super::*;

#[track_caller]
fn check(name: &str, search: &[&str], ndots: usize, expected: &[&str]) {
    let name = Name::from_str_relaxed(name).unwrap();
    let search = search.iter().map(|it| Name::from_str_relaxed(it).unwrap());
    let names = candidates(&name, &search.collect::<Vec<_>>(), ndots);
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_name_with_enough_dots_is_looked_up_as_it_is_first() {
    let search = ["a.internal", "b.internal."];
    check(
        "web",
        &search,
        1,
        &["web.a.internal.", "web.b.internal.", "web."],
    );
    check(
        "web.ecs",
        &search,
        1,
        &["web.ecs.", "web.ecs.a.internal.", "web.ecs.b.internal."],
    );
    check(
        "web.ecs",
        &search,
        5,
        &["web.ecs.a.internal.", "web.ecs.b.internal.", "web.ecs."],
    );
    check("_web._tcp.x", &[], 1, &["_web._tcp.x."]);
}

#[test]
fn a_name_that_ends_in_a_dot_is_not_searched_for() {
    check("web.ecs.", &["a.internal"], 5, &["web.ecs."]);
}

fn machine(resolv_conf: &str, hosts: &str) -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System {
        resolv_conf: folder.path().join("resolv.conf"),
        hosts: folder.path().join("hosts"),
    };
    fs::write(&system.resolv_conf, resolv_conf).unwrap();
    fs::write(&system.hosts, hosts).unwrap();
    (folder, system)
}

#[test]
fn the_customs_of_the_machine_are_kept() {
    let text = "nameserver 10.0.0.2\nnameserver fd00::2\nsearch a.internal b.internal\noptions ndots:5 timeout:1\n";
    let (_folder, system) = machine(text, "");
    let customs = system.read();
    let shown = |names: &[Name]| -> Vec<_> { names.iter().map(Name::to_string).collect() };
    assert_eq!(shown(&customs.search), ["a.internal", "b.internal"]);
    assert_eq!(
        (customs.ndots, customs.patience),
        (5, Duration::from_secs(1))
    );
    let nameservers = customs.nameservers.iter().map(ToString::to_string);
    assert_eq!(
        nameservers.collect::<Vec<_>>(),
        ["10.0.0.2:53", "[fd00::2]:53"]
    );
}

#[test]
fn a_machine_that_says_nothing_asks_itself() {
    let (_folder, mut system) = machine("options ndots:2\n", "");
    assert_eq!(system.read().nameservers, ["127.0.0.1:53".parse().unwrap()]);
    assert_eq!(system.read().ndots, 2);
    system.resolv_conf.push("gone");
    assert_eq!(system.read().nameservers, ["127.0.0.1:53".parse().unwrap()]);
}

async fn addresses(resolver: &Resolver, name: &str) -> Vec<String> {
    let found = resolver.find(name, Kinds::Addresses).await.0;
    let records = found.into_iter().filter_map(|said| match said.unwrap() {
        Said::Records(records, _) => Some(records),
        Said::Nothing(_) => None,
    });
    records
        .flatten()
        .filter_map(|record| address(&record))
        .map(|ip| ip.to_string())
        .collect()
}

#[tokio::test]
async fn hosts_come_first_and_are_read_again_when_they_change() {
    let (_folder, system) = machine("", "10.1.0.1 Web.ecs web # here\nfd00::1 web\n");
    let hosts = system.hosts.clone();
    let resolver = Resolver::with(vec!["127.0.0.1:1".parse().unwrap()], system);
    assert_eq!(addresses(&resolver, "web").await, ["10.1.0.1", "fd00::1"]);
    assert_eq!(addresses(&resolver, "web.ECS.").await, ["10.1.0.1"]);
    fs::write(&hosts, "10.1.0.2 web\n10.1.0.3 web\n").unwrap();
    assert_eq!(addresses(&resolver, "web").await, ["10.1.0.2", "10.1.0.3"]);
}
