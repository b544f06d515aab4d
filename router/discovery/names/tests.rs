//! What hosts and services make of what name servers say.

use hickory_resolver::proto::rr::Name;

use super::*;

fn records(addresses: &[&str], seconds: u32) -> Result<Said, String> {
    let records = addresses
        .iter()
        .map(|it| RData::from(it.parse::<IpAddr>().unwrap()));
    Ok(Said::Records(records.collect(), seconds))
}

fn nothing() -> Result<Said, String> {
    Ok(Said::Nothing(Nothing::NoRecord))
}

#[track_caller]
fn check(host: &mut Host, said: Vec<Result<Said, String>>, expected: Result<(&str, u64), &str>) {
    let outcome = host.learn(Found(said));
    let outcome = outcome.map(|(addresses, lifetime)| {
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        (shown.join(" "), lifetime.as_secs())
    });
    match (outcome, expected) {
        (Ok((shown, seconds)), Ok(expected)) => assert_eq!((&*shown, seconds), expected),
        (Err(failure), Err(expected)) => assert_eq!(failure.to_string(), expected),
        (outcome, expected) => panic!("{outcome:?}, expected {expected:?}"),
    }
}

#[test]
fn both_families_count_and_the_shorter_life() {
    let mut host = Host::default();
    let both = vec![
        records(&["10.0.0.2", "10.0.0.1"], 60),
        records(&["fd00::1"], 5),
    ];
    check(&mut host, both, Ok(("10.0.0.1 10.0.0.2 fd00::1", 5)));
    let v4 = vec![records(&["10.0.0.1"], 7), nothing()];
    check(&mut host, v4, Ok(("10.0.0.1", 7)));
}

#[test]
fn a_family_that_cannot_be_asked_for_keeps_its_addresses() {
    let mut host = Host::default();
    let broken = vec![records(&["10.0.0.1"], 60), Err("SERVFAIL".into())];
    check(&mut host, broken.clone(), Ok(("10.0.0.1", 60)));
    let both = vec![records(&["10.0.0.1"], 60), records(&["fd00::1"], 60)];
    check(&mut host, both, Ok(("10.0.0.1 fd00::1", 60)));
    check(&mut host, broken, Ok(("10.0.0.1 fd00::1", 60)));
}

#[test]
fn nothing_at_all_is_a_failure_and_forgets_nothing() {
    let mut host = Host::default();
    check(
        &mut host,
        vec![nothing(), nothing()],
        Err("the name has no address"),
    );
    check(
        &mut host,
        vec![records(&["10.0.0.1"], 60), nothing()],
        Ok(("10.0.0.1", 60)),
    );
    let gone = Ok(Said::Nothing(Nothing::NoSuchName));
    check(
        &mut host,
        vec![gone.clone(), gone],
        Err("there is no such name"),
    );
    check(
        &mut host,
        vec![nothing(), Err("SERVFAIL".into())],
        Err("SERVFAIL"),
    );
    check(&mut host, vec![Err("nobody".into())], Err("nobody"));
    let sink = vec![records(&["0.0.0.0", "224.0.0.1"], 60), records(&["::"], 60)];
    check(&mut host, sink, Err("the name has no address"));
    let last: Vec<_> = host.last().iter().map(ToString::to_string).collect();
    assert_eq!(last, ["10.0.0.1"]);
}

fn service(priority: u16, weight: u16, port: u16, host: &str) -> SRV {
    SRV::new(
        priority,
        weight,
        port,
        Name::from_str_relaxed(host).unwrap(),
    )
}

fn shown(records: Vec<SRV>) -> String {
    let hosts = [
        ("a.", vec!["10.0.0.1"]),
        ("b.", vec!["10.0.0.2", "fd00::2"]),
    ];
    let hosts = hosts.map(|(name, addresses)| {
        let addresses = addresses.iter().map(|it| it.parse().unwrap());
        (name.to_owned(), addresses.collect())
    });
    let targets = weighted(&lowest_priority(records), &hosts.into());
    let shown = targets
        .iter()
        .map(|target| format!("{}*{}", target.address, target.weight));
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn only_the_lowest_priority_serves_each_address_with_its_weight() {
    let records = vec![
        service(2, 9, 80, "a."),
        service(1, 3, 81, "a."),
        service(1, 0, 82, "b."),
        service(1, 4, 83, "gone."),
    ];
    assert_eq!(shown(records), "10.0.0.1:81*3 10.0.0.2:82*1 [fd00::2]:82*1");
}

#[test]
fn heavy_weights_are_scaled_and_equal_addresses_add_up() {
    let records = vec![
        service(1, 60_000, 80, "a."),
        service(1, 20_000, 80, "b."),
        service(1, 1, 81, "b."),
    ];
    let expected = "10.0.0.1:80*1000 10.0.0.2:80*333 10.0.0.2:81*1 [fd00::2]:80*333 [fd00::2]:81*1";
    assert_eq!(shown(records), expected);
    let twice = vec![service(1, 2, 80, "a."), service(1, 3, 80, "a.")];
    assert_eq!(shown(twice), "10.0.0.1:80*5");
    assert_eq!(shown(vec![service(1, 1, 0, "a.")]), "");
}
