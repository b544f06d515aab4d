//! Operating characteristics: how often the guard is wrong, and how soon it is right, with everything that a router puts
//! around it.
//!
//! The short form is a sample of the long one (`KANARIA_LONG=1`, built with `--release`), which runs what was promised.

use std::thread;

use super::*;

/// Runs with the seeds from 0 on, on two threads.
fn all(n_runs: u64, structure: &Arc<Structure>, scenario: &Scenario) -> Vec<Report> {
    let half = |first: u64| {
        let seeds = (first..n_runs).step_by(2);
        let reports = seeds.map(|seed| report(structure, scenario, seed));
        reports.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let own = half(0);
        [own, other.join().unwrap()].concat()
    })
}

#[test]
fn days_without_harm_take_nothing_back() {
    let (n_runs, hours) = (sized(4, 200), sized(1, 24));
    let structure = structure(&json!({
        "weights": { "ec2": 100, "ecs": 0 },
        "guard": {},
        "ramp": { "steps": [{ "percent": 10.0, "hold": "1d" }] },
    }));
    // The guard knows stable for three hours before the canary starts.
    let scenario = scenario(&format!(
        "length = '{}h'\nclients.count = 4000\ntraffic = {{ rps = {}, swing = 0.667, peak = 12 }}\n\
         answers.errors = 0.005\n[[bots]]\nplace = 'canary'\nrps = 0.5",
        3 + hours,
        sized(20, 40),
    ));
    let reports = all(n_runs, &structure, &scenario);
    let requests: u64 = reports.iter().map(|report| report.summary.requests).sum();
    let most = reports.iter().flat_map(|report| &report.rows);
    let most = most.map(|row| row.evidence).fold(0.0, f64::max);
    let tripped = reports
        .iter()
        .filter(|report| !report.summary.trips.is_empty());
    let tripped: Vec<_> = tripped
        .map(|report| (report.seed, &report.summary.trips))
        .collect();
    println!(
        "{n_runs} runs of {hours} h without harm, with a bot of the canary that always fails, {requests} requests: \
         {} rollbacks, bound 0; most evidence {most:.1}",
        tripped.len()
    );
    assert!(
        reports
            .iter()
            .all(|report| report.summary.canary_requests > 500)
    );
    assert!(tripped.is_empty(), "{tripped:?}");
}

/// A site with 300 requests a second and 10 % on the canary, to which `harm` is done after two minutes.
fn busy(harm: &str) -> Scenario {
    scenario(&format!(
        "length = '15m'\ntraffic = {{ rps = 300, swing = 0 }}\n[[harm]]\nfrom = '2m'\n{harm}"
    ))
}

/// Seconds from the first harm on, of all runs, ascending.
fn reactions(n_runs: u64, structure: &Arc<Structure>, scenario: &Scenario) -> Vec<u64> {
    let reports = all(n_runs, structure, scenario);
    let mut reactions: Vec<u64> = reports
        .iter()
        .map(|report| {
            let summary = &report.summary;
            assert_eq!(
                summary.rollbacks, 1,
                "seed {}: {:?}",
                report.seed, report.rows
            );
            summary.reaction_s.expect("after the harm")
        })
        .collect();
    reactions.sort_unstable();
    reactions
}

#[test]
fn harm_is_taken_back_within_what_was_promised() {
    for (what, harm, bound) in [
        ("50 % errors", "errors = 0.5", 15),
        ("5 % errors against 0.1 %", "errors = 0.05", 180),
    ] {
        let structure = structure(&json!({ "guard": {} }));
        within(
            what,
            &reactions(sized(1, 50), &structure, &busy(harm)),
            bound,
        );
    }
}

#[track_caller]
fn within(what: &str, reactions: &[u64], bound: u64) {
    let n_runs = reactions.len();
    let (median, last) = (reactions[n_runs / 2], reactions[n_runs - 1]);
    println!(
        "{what}: weight 0 after {median} s (median), {last} s at most of {n_runs} runs; bound {bound} s"
    );
    assert!(last <= bound, "{what}: {reactions:?}");
}

/// Half of stable's clients are above its median, so what the guard believes of their restlessness weighs much: it has to
/// have known stable for its three hours.
#[test]
fn a_slow_canary_is_taken_back() {
    // The short form has a sixth of the requests, and more of them on the canary.
    let (rps, percent) = match sized(0, 1) {
        0 => (50, 30),
        _ => (300, 10),
    };
    let structure = structure(&json!({
        "guard": {},
        "weights": { "ec2": 100 - percent, "ecs": percent },
    }));
    let scenario = scenario(&format!(
        "length = '4h'\ntraffic = {{ rps = {rps}, swing = 0 }}\n[[harm]]\nfrom = '3h'\nslower = 1.4"
    ));
    let what = format!("40 % slower, at {rps} requests a second and {percent} %");
    within(&what, &reactions(sized(1, 50), &structure, &scenario), 600);
}

/// What the guard says, each time that it says something else, with the second.
fn words(structure: &Arc<Structure>, scenario: &Scenario) -> Vec<(u64, &'static str)> {
    let mut none = |_: &Seen<'_>| ();
    let mut run = Run::new(&setup(structure, scenario, 1), &mut none).unwrap();
    let mut words: Vec<(u64, &'static str)> = Vec::new();
    while !run.is_over() {
        run.second();
        let state = run.stage.guard().map_or("none", |view| view.state);
        if words.last().is_none_or(|(_, last)| *last != state) {
            words.push((run.now - run.begin, state));
        }
    }
    words
}

#[test]
fn an_outage_of_both_takes_nothing_back_and_is_called_one() {
    let structure = structure(&json!({ "guard": {} }));
    let scenario = scenario(
        "length = '14m'\ntraffic = { rps = 100, swing = 0 }\n[[harm]]\npool = 'all'\nfrom = '4m'\nlasts = '5m'\nerrors = 0.6",
    );
    let report = report(&structure, &scenario, 1);
    assert_eq!(
        (report.summary.rollbacks, report.summary.trips.len()),
        (0, 0)
    );
    let words = words(&structure, &scenario);
    println!("{words:?}");
    let unhealthy = words.iter().find(|(_, word)| *word == "baseline_unhealthy");
    assert!(unhealthy.is_some_and(|(at, _)| (240..=260).contains(at)));
    assert!(words.last().is_some_and(|(_, word)| *word == "ok"));
}

#[test]
fn without_requests_there_is_no_data_and_never_ok() {
    let structure = structure(&json!({ "guard": {} }));
    let scenario = scenario(
        "length = '40m'\ntraffic = { rps = 30, swing = 0, quiet = 'Mon-Sun 00:10-00:30 UTC' }",
    );
    let words = words(&structure, &scenario);
    println!("{words:?}");
    let at = |second: u64| {
        let said = words.iter().rev().find(|(since, _)| *since <= second);
        said.map_or("none", |(_, word)| *word)
    };
    assert_eq!(at(595), "ok");
    // A minute is looked back on, and its last window is closed after it.
    assert!((666..1_800).all(|second| at(second) == "no_data"));
    assert_eq!(at(2_399), "ok");
}
