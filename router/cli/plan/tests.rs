//! What is told of a plan, and how it ends.

use super::super::ask::tests::{NO_PROGRAM, plain};
use super::super::{Arguments, execute};
use super::*;
use crate::plan::{Share, Skipped};

fn report() -> Report {
    let seat = |route: &str, pool: &str| Seat {
        route: Some(route.into()),
        pool: Some(pool.into()),
    };
    Report {
        lines: 1010,
        requests: 1000,
        skipped: Skipped {
            flag: 7,
            unreadable: 3,
            ..Skipped::default()
        },
        unmatched_after: 2,
        shares: vec![Share {
            seat: seat("web", "ecs"),
            requests_before: 50,
            requests_after: 100,
            share_before: Some(0.05),
            share_after: Some(0.1),
            users_before: Some(0.05),
            users_after: Some(0.1),
        }],
        moves: vec![Moved {
            from: seat("web", "ec2"),
            to: seat("web", "ecs"),
            requests: 50,
            users: 40,
            examples: vec!["GET www.example.com/a\u{1b}[2J".into()],
        }],
        users_seen: 800,
        users_moved: 40,
        revision: 12,
        config_digest: "0123456789ab".into(),
        planned_digest: "ba9876543210".into(),
        ..Report::default()
    }
}

fn run(line: &str) -> Outcome {
    of(line, |_, progress| {
        progress(Some(0.5), 500);
        Ok(report())
    })
}

fn of(line: &str, plan: crate::cli::Foretell) -> Outcome {
    let words = ["kanaria", "plan", "new.toml", "--replay", "a.json"].into_iter();
    let words = words.chain(line.split(' ').filter(|word| !word.is_empty()));
    let program = Program { plan, ..NO_PROGRAM };
    let arguments = Arguments::read(words.map(Into::into)).unwrap();
    execute(arguments, &program, &plain())
}

#[test]
fn a_plan_is_told_with_what_moves_and_what_is_not_known() {
    insta::assert_snapshot!(run("").out);
}

#[test]
fn the_exit_code_tells_differences_and_too_many_moves_when_asked() {
    for (line, code) in [
        ("", Code::Done),
        ("--detailed-exitcode", Code::Different),
        ("--max-moved-users 5%", Code::Done),
        ("--max-moved-users 4.99", Code::Failed),
        ("--max-moved-users 4% --detailed-exitcode", Code::Failed),
    ] {
        let outcome = run(line);
        assert_eq!(outcome.code, code, "{line}");
    }
    let err = run("--max-moved-users 4%").err;
    assert_eq!(
        err,
        "kanaria: 5 % of the users would change their pool, more than 4 %\n"
    );
}

#[test]
fn a_plan_that_decided_nothing_has_failed() {
    let empty = |_: &Plan, _: &mut dyn FnMut(Option<f64>, u64)| Ok(Report::default());
    let flagged: crate::cli::Foretell = |_, _| {
        Ok(Report {
            requests: 0,
            moves: Vec::new(),
            ..report()
        })
    };
    for (plan, word) in [
        (empty as crate::cli::Foretell, "the log has no line"),
        (flagged, "none of 1010 lines could be decided"),
    ] {
        for line in ["", "--json", "--max-moved-users 100%"] {
            let outcome = of(line, plan);
            assert_eq!(outcome.code, Code::Failed, "{line}");
            assert!(outcome.err.contains(word), "{}", outcome.err);
        }
    }
}

#[test]
fn a_plan_in_json_is_the_report() {
    let document: serde_json::Value = serde_json::from_str(&run("--json").out).unwrap();
    assert_eq!(document["moves"][0]["to"]["pool"], "ecs");
    assert_eq!(document["shares"][0]["users_after"], 0.1);
}
