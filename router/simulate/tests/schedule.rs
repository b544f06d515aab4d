//! Schedules on a virtual clock: which weights they pass, when, and what takes them back.

use config::live::{Bounds, Latch, Refusal, Weights, set_weights};
use config::model::Config;
use jiff::tz::TimeZone;

use super::*;

/// Weights of `web`, each with the second at which they came into force.
fn course(structure: &Arc<Structure>, scenario: &Scenario) -> (Vec<(u64, [u32; 2])>, Report) {
    let mut none = |_: &Seen<'_>| ();
    let mut run = Run::new(&setup(structure, scenario, 1), &mut none).unwrap();
    let mut course = Vec::new();
    while !run.is_over() {
        let weights = weights(run.stage.weights());
        if course.last().is_none_or(|(_, last)| *last != weights) {
            course.push((run.now, weights));
        }
        run.second();
    }
    (course, run.report(1))
}

fn weights(weights: &Weights) -> [u32; 2] {
    ["ec2", "ecs"].map(|pool| weights[pool])
}

/// Toreta's shares, each held for so long.
fn toreta(hold: &str) -> Arc<Structure> {
    let steps = [1.0, 10.0, 50.0, 100.0].map(|percent| json!({ "percent": percent, "hold": hold }));
    structure(&json!({
        "weights": { "ec2": 100, "ecs": 0 },
        "guard": {},
        "ramp": { "steps": steps, "require_evidence": false },
    }))
}

/// The file that is shipped.
fn shipped(text: &str) -> Arc<Structure> {
    let config: Config = toml::from_str(text).unwrap();
    Arc::new(Structure::compile(&config).unwrap())
}

const STEPS: [[u32; 2]; 5] = [[100, 0], [99, 1], [90, 10], [50, 50], [0, 100]];

#[test]
fn toretas_schedule_passes_its_four_shares_and_holds_each_of_them() {
    const HOUR: u64 = 3_600;
    let verbatim = include_str!("../../../config/examples/toreta.toml");
    // The short form has its shares and minutes in the place of days; the long one is the file as it is shipped.
    let is_long = sized(0, 1) == 1;
    let (structure, holds, text) = match is_long {
        true => (
            shipped(verbatim),
            [72 * HOUR, 72 * HOUR, 72 * HOUR, 168 * HOUR],
            "",
        ),
        false => (
            toreta("10m"),
            [600; 4],
            "operator = { start = '0s', cold = true }",
        ),
    };
    let scenario = scenario(text);
    let (course, report) = course(&structure, &scenario);
    let shares: Vec<_> = course.iter().map(|(_, weights)| *weights).collect();
    assert_eq!(shares, STEPS);
    let begins: Vec<u64> = course.iter().skip(1).map(|(begin, _)| *begin).collect();
    for ((pair, hold), share) in begins.windows(2).zip(holds).zip(&STEPS[1..]) {
        let held = pair[1] - pair[0];
        println!("{share:?} was held for {held} s, at least {hold}");
        assert!(held >= hold);
        assert!(is_long || held <= hold + 1);
    }
    let is_end = |row: &&Row| {
        row.what
            .iter()
            .any(|what| what.ends_with("was held for its time"))
    };
    let end = report.rows.iter().find(is_end).expect("an end");
    let held = end.elapsed_s - (begins[3] - course[0].0);
    assert_eq!(report.summary.outcome, Outcome::Complete);
    assert!((holds[3]..=holds[3] + 1).contains(&held), "{held} s");
    assert_eq!(
        (report.summary.moved_back, report.summary.rollbacks),
        (0, 0)
    );
    if is_long {
        in_working_hours(&begins);
    }
}

/// `Mon-Thu 10:00-17:00 Asia/Tokyo`.
#[track_caller]
fn in_working_hours(begins: &[u64]) {
    let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
    for begin in begins {
        let begin = Timestamp::from_second(*begin as i64).unwrap();
        let begin = begin.to_zoned(tokyo.clone());
        println!("a step at {begin}");
        assert!((10..17).contains(&begin.hour()), "{begin}");
        assert!(begin.weekday().to_monday_zero_offset() < 4, "{begin}");
    }
}

#[test]
fn misocas_schedule_passes_its_shares() {
    if sized(0, 1) == 0 {
        return println!("eight days and more: in the long form");
    }
    let structure = shipped(include_str!("../../../config/examples/misoca.toml"));
    let scenario = scenario("");
    let (course, report) = course(&structure, &scenario);
    let shares: Vec<_> = course.iter().map(|(_, weights)| *weights).collect();
    assert_eq!(shares, [[100, 0], [95, 5], [70, 30], [40, 60], [0, 100]]);
    assert_eq!(report.summary.outcome, Outcome::Complete);
}

#[test]
fn harm_takes_back_every_step_and_the_mark_stays() {
    let structure = toreta("5m");
    for step in 1..=4 {
        let scenario = scenario(&format!(
            "length = '{}m'\noperator = {{ start = '0s', cold = true }}\ntraffic.rps = 120\n[[harm]]\nstep = {step}\nfrom = '1m'\nerrors = 0.9",
            5 * step + 5
        ));
        let mut none = |_: &Seen<'_>| ();
        let mut run = Run::new(&setup(&structure, &scenario, 1), &mut none).unwrap();
        while !run.is_over() {
            run.second();
        }
        assert_eq!(weights(run.stage.weights()), STEPS[0], "step {step}");
        assert_eq!(run.stage.latch(), Latch::RolledBack);
        let raise = Weights::from([("ec2".into(), 99), ("ecs".into(), 1)]);
        let raised = run
            .stage
            .ask(|live, routes, name| set_weights(live, routes, name, &raise, Bounds::Kept));
        assert!(matches!(raised, Err(Refusal::Latched { .. })), "{raised:?}");
        let report = run.report(1);
        let summary = &report.summary;
        println!(
            "step {step}: weight 0 after {:?} s, {} errors; {}",
            summary.reaction_s, summary.extra_errors, summary.trips[0]
        );
        assert_eq!((summary.rollbacks, summary.attempts), (1, 1));
        assert_eq!(summary.outcome, Outcome::RolledBack);
        // At 1 % there is one request a second, too few for the hard limit.
        assert!(summary.reaction_s.is_some_and(|seconds| seconds <= 60));
        let after = report.rows.last().unwrap();
        assert_eq!((after.requests, after.users), (Some(0.0), Some(0.0)));
    }
}

#[test]
fn a_ramp_that_is_resumed_begins_another_attempt_at_its_step() {
    let scenario = scenario(
        "operator = { start = '0s', cold = true, resume = '10m' }\ntraffic.rps = 40\n[[harm]]\nstep = 2\nfrom = '1m'\nlasts = '5m'\nerrors = 0.9",
    );
    let (course, report) = course(&toreta("5m"), &scenario);
    let shares: Vec<_> = course.iter().map(|(_, weights)| *weights).collect();
    assert_eq!(
        shares,
        [
            STEPS[0], STEPS[1], STEPS[2], STEPS[0], STEPS[2], STEPS[3], STEPS[4]
        ]
    );
    let back = course[4].0 - course[3].0;
    assert!((600..=602).contains(&back), "{back} s");
    let summary = &report.summary;
    assert_eq!((summary.attempts, summary.rollbacks), (2, 1));
    assert_eq!(summary.outcome, Outcome::Complete);
    assert!(report.meets(Expected::Rollback) && !report.meets(Expected::Complete));
}

#[test]
fn a_step_that_waits_for_a_person_gets_one() {
    let mut route = json!({ "weights": { "ec2": 100, "ecs": 0 } });
    route["ramp"] = json!({
        "steps": [{ "percent": 10.0, "hold": "5m" }, { "percent": 100.0, "hold": "5m" }],
        "auto": false,
        "require_evidence": false,
    });
    let structure = structure(&route);
    let text = "length = '1h'\noperator = { start = '0s', cold = true, advance = '7m' }";
    let (course, report) = course(&structure, &scenario(text));
    let begins: Vec<u64> = course
        .iter()
        .map(|(begin, _)| begin - course[0].0)
        .collect();
    assert!((720..=722).contains(&(begins[2] - begins[1])), "{begins:?}");
    assert_eq!(report.summary.outcome, Outcome::Complete);
}

/// Two steps of five minutes, before the second of which targets are asked.
fn probed() -> Arc<Structure> {
    structure(&json!({
        "weights": { "ec2": 100, "ecs": 0 },
        "ramp": {
            "steps": [{ "percent": 10.0, "hold": "5m" }, { "percent": 100.0, "hold": "5m" }],
            "require_evidence": false,
            "probe": "http://www.example.com/up",
        },
    }))
}

/// Seconds from the begin of a run to each of its changes, of a ramp that is started at once.
fn changes(text: &str) -> (Vec<u64>, Report) {
    let text = format!("operator = {{ start = '0s', cold = true }}\ntraffic.rps = 1\n{text}");
    let (course, report) = course(&probed(), &scenario(&text));
    let begin = course[0].0;
    (course.iter().map(|(at, _)| at - begin).collect(), report)
}

#[test]
fn a_probe_that_fails_holds_a_step_until_it_passes() {
    let (passing, _) = changes("");
    let held = passing[2] - passing[1];
    assert!((300..=301).contains(&held), "{passing:?}");
    let harm = "[[harm]]\nstep = 1\nfrom = '1m'\nlasts = '20m'\nprobe_fails = true";
    let (failing, report) = changes(harm);
    println!("{failing:?}");
    assert!((1_261..=1_263).contains(&failing[2]));
    assert_eq!(report.summary.outcome, Outcome::Complete);
    assert_eq!(report.summary.harm_began, None, "it is not for clients");
    let told: Vec<_> = report.rows.iter().flat_map(|row| &row.what).collect();
    let lacks = "held, it lacks an answer of 2xx to its probe: pool `ecs`: 503, expected 200-299";
    assert!(told.iter().any(|what| *what == lacks), "{told:?}");
}

#[test]
fn no_ramp_starts_before_its_probe_passes() {
    for harm in ["probe_fails = true", "down = true"] {
        let (changes, report) = changes(&format!("[[harm]]\nlasts = '7m'\n{harm}"));
        assert!((420..=421).contains(&changes[1]), "{changes:?}");
        let told: Vec<_> = report.rows.iter().flat_map(|row| &row.what).collect();
        let refused = "refused: route `web`: canary `ecs` does not answer its ramp's probe";
        assert!(
            told.iter().any(|what| what.starts_with(refused)),
            "{told:?}"
        );
    }
}

#[test]
fn a_probe_of_a_pool_that_is_not_raised_is_refused() {
    let scenario = scenario("[[harm]]\npool = 'stable'\nprobe_fails = true");
    let report = simulate(&setup(&probed(), &scenario, 1), &mut |_| (), &mut |_| ());
    let fault = report.expect_err("refused");
    assert_eq!(
        format!("{}: {}", fault.path, fault.message),
        "harm[0].probe_fails: the ramp of route `web` raises `ecs`, and asks no other pool"
    );
}
