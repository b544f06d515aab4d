//! What is told of a simulation, and how it ends.

use super::super::ask::tests::{NO_PROGRAM, plain};
use super::super::{Arguments, execute};
use super::*;
use crate::simulate::Outcome as Ended;

fn report() -> Report {
    let row = |time: &str, what: &[&str]| Row {
        time: time.into(),
        elapsed_s: 7_200,
        what: what.iter().map(|what| (*what).to_owned()).collect(),
        step: Some(2),
        asked: 0.1,
        users: Some(0.1013),
        requests: Some(0.098),
        n_requests: 4_000,
        over_cap: 12,
        guard: Some("ok".into()),
        evidence: 0.42,
        no_harm: Some((-0.5, 2.995)),
    };
    Report {
        route: "web".into(),
        about: "it goes\u{1b}[2J wrong".into(),
        seed: 7,
        begin: "2026-06-01T00:00:00Z".into(),
        end: "2026-06-01T03:00:00Z".into(),
        left_out: vec!["bodies".into(), "the probe\u{7}".into()],
        rows: vec![
            Row {
                step: None,
                users: None,
                guard: None,
                no_harm: None,
                asked: 0.0,
                ..row("2026-06-01T00:00:00Z", &["begin"])
            },
            row(
                "2026-06-01T02:00:00Z",
                &[
                    "the guard trips: errors",
                    "taken back: everybody to stable, latched",
                ],
            ),
        ],
        summary: Summary {
            outcome: Ended::RolledBack,
            attempts: 1,
            rollbacks: 1,
            trips: vec!["errors".into()],
            requests: 8_000,
            canary_requests: 400,
            over_cap: 12,
            users: 500,
            users_on_canary: 50,
            extra_errors: 19,
            moved_to_canary: 50,
            moved_back: 48,
            harm_began: Some("2026-06-01T01:57:09Z".into()),
            reaction_s: Some(171),
        },
    }
}

fn run(line: &str) -> Outcome {
    let words = ["kanaria", "simulate", "new.toml", "--scenario", "errors"].into_iter();
    let words = words.chain(line.split(' ').filter(|word| !word.is_empty()));
    let program = Program {
        simulate: |_, progress| {
            progress(0.5);
            Ok(report())
        },
        ..NO_PROGRAM
    };
    let arguments = Arguments::read(words.map(Into::into)).unwrap();
    execute(arguments, &program, &plain())
}

#[test]
fn a_simulation_is_told_as_a_timeline_and_what_it_came_to() {
    insta::assert_snapshot!(run("").out, @r#"
    route web, scenario errors: it goes\u{1b}[2J wrong
    2026-06-01 00:00:00 to 2026-06-01 03:00:00 UTC, the last event after 2 h; seed 7

    TIME                 STEP  ASKED    USERS  REQUESTS  GUARD  HARM  NO HARM  WHAT
    2026-06-01 00:00:00     -    0 %        -    9.80 %  -       0.4        -  begin
    2026-06-01 02:00:00     2   10 %  10.13 %    9.80 %  ok      0.4  0.0/3.0  the guard trips: errors
                                                                               taken back: everybody to stable, latched

    it ended rolled back in 1 attempt
    users that saw a canary: 50 of 500; they moved to one 50 times, and back 48 times
    requests: 8000, on a canary 400; errors that would not have been without harm: 19
    over the cap, and so served by stable: 12 requests of a canary
    from the first harm on a canary (2026-06-01 01:57:09 UTC) to weight 0: 171 s
    left out:
    - bodies
    - the probe\u{7}
    "#);
}

#[test]
fn the_exit_code_tells_what_was_not_as_expected() {
    for (line, code) in [
        ("", Code::Done),
        ("--expect rollback", Code::Done),
        ("--expect complete", Code::Failed),
    ] {
        assert_eq!(run(line).code, code, "{line}");
    }
    assert_eq!(
        run("--expect complete").err,
        "kanaria: not as expected (complete): it ended rolled back, and the guard took back 1 time\n"
    );
}

#[test]
fn a_simulation_in_json_is_the_report() {
    let document: serde_json::Value = serde_json::from_str(&run("--json").out).unwrap();
    assert_eq!(document["rows"][1]["what"][0], "the guard trips: errors");
    assert_eq!(document["summary"]["outcome"], "rolled_back");
}

#[test]
fn every_scenario_that_comes_with_the_program_is_listed() {
    let listed = run("--list").out;
    for shipped in SHIPPED {
        assert!(listed.contains(shipped.name), "{listed}");
    }
    let document: serde_json::Value = serde_json::from_str(&run("--list --json").out).unwrap();
    assert_eq!(document.as_array().map(Vec::len), Some(SHIPPED.len()));
}
