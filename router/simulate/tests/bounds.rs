//! Caps on the virtual clock: what a canary gets, what goes to stable instead, and what the guard makes of it.

use super::*;

/// Requests that a canary got, and those that its cap sent to stable, by second.
fn by_second(structure: &Arc<Structure>, scenario: &Scenario) -> (Vec<[u32; 2]>, Report) {
    let mut seconds = Vec::<[u32; 2]>::new();
    let mut first = None;
    let report = simulate(&setup(structure, scenario, 1), &mut |_| (), &mut |seen| {
        let second = (seen.time - *first.get_or_insert(seen.time)) as usize;
        seconds.resize(seconds.len().max(second + 1), [0; 2]);
        seconds[second][0] += u32::from(seen.pool == "ecs");
        seconds[second][1] += u32::from(seen.reason == "cap");
    });
    (seconds, report.unwrap())
}

#[test]
fn a_cap_lets_through_so_many_a_second_and_stable_serves_the_rest() {
    let structure = structure(&json!({ "guard": {}, "cap": { "max_rps": 3 } }));
    let scenario = scenario("length = '20m'\ntraffic = { rps = 60, swing = 0 }");
    let (seconds, report) = by_second(&structure, &scenario);
    let summary = &report.summary;
    let most = seconds.iter().map(|[canary, _]| *canary).max();
    println!(
        "{} on the canary in 1,200 s, bound 3 a second; {most:?} in one second, bound 6; {} over the cap",
        summary.canary_requests, summary.over_cap
    );
    let over: u32 = seconds.iter().map(|[_, over]| *over).sum();
    assert_eq!(u64::from(over), summary.over_cap);
    assert!((3_000..=3_603).contains(&summary.canary_requests));
    // A full bucket and what comes back in its second.
    assert!(most <= Some(6));
    let placed = (summary.canary_requests + summary.over_cap) as f64 / summary.requests as f64;
    assert!((placed - 0.1).abs() < 0.03, "{placed}");
    assert_eq!((summary.rollbacks, summary.extra_errors), (0, 0));
    let told: Vec<_> = report.rows.iter().flat_map(|row| &row.what).collect();
    let binds = "the cap binds: 3 requests a second; what is over goes to stable";
    let n_told = told.iter().filter(|what| **what == binds).count();
    assert_eq!(n_told, 1, "{told:?}");
}

/// Who finds the only place taken goes elsewhere: of a Poisson stream with load `a` that is `a / (1 + a)` (Erlang's B).
#[test]
fn a_cap_of_requests_at_a_time_refuses_as_many_as_queueing_theory_says() {
    let structure = structure(&json!({ "cap": { "max_concurrent": 1 } }));
    let scenario = scenario(
        "length = '1h'\ntraffic = { rps = 60, swing = 0 }\nanswers = { median = '80ms', spread = 0 }",
    );
    let summary = report(&structure, &scenario, 1).summary;
    let placed = (summary.canary_requests + summary.over_cap) as f64;
    let load = placed / 3_600.0 * 0.08;
    let (refused, expected) = (summary.over_cap as f64 / placed, load / (1.0 + load));
    println!("{refused:.4} of {placed} refused, {expected:.4} expected, bound 0.02 beside it");
    assert!((refused - expected).abs() < 0.02);
}

#[test]
fn no_cap_leaves_everything_as_it_was() {
    let scenario = scenario("length = '10m'");
    let free = report(&structure(&json!({})), &scenario, 1);
    let wide = structure(&json!({ "cap": { "max_rps": 1_000_000 } }));
    let wide = report(&wide, &scenario, 1);
    assert_eq!((free.summary.over_cap, wide.summary.over_cap), (0, 0));
    assert_eq!(free.summary.requests, wide.summary.requests);
}

/// What the cap sends to stable is no evidence; what the canary gets is.
#[test]
fn a_capped_canary_that_fails_is_taken_back() {
    let structure = structure(&json!({ "guard": {}, "cap": { "max_rps": 4 } }));
    let text = "length = '20m'\ntraffic = { rps = 120, swing = 0 }\n[[harm]]\nfrom = '5m'\n";
    let stables = report(
        &structure,
        &scenario(&format!("{text}pool = 'stable'\nslower = 1.5")),
        1,
    );
    assert_eq!(stables.summary.rollbacks, 0);
    let canarys = report(&structure, &scenario(&format!("{text}errors = 0.9")), 1);
    let summary = &canarys.summary;
    println!("weight 0 after {:?} s, bound 30", summary.reaction_s);
    assert_eq!(summary.rollbacks, 1);
    assert!(summary.reaction_s.is_some_and(|seconds| seconds <= 30));
}
