//! Bad files, each with everything that must be said about it: line, column, key, message.
//!
//! A case is a headline `==== FORMAT: what it shows`, the text, `----`, and the first lines of all problems. A listener
//! is put behind the text, because every file needs one, unless the headline says that the text stands alone.

use super::{loaded, read};
use crate::load::finish;
use crate::problem::Problem;
use crate::snapshot::Structure;

const LISTENER: &str = "[[listeners]]\nname = 'public'\nbind = '127.0.0.1:0'\n";

#[track_caller]
fn check(cases: &str) {
    check_by(cases, |name, text| {
        read(&[(name, text)]).err().unwrap_or_default()
    });
}

/// As `check`, with all that is wrong with the routing.
#[track_caller]
fn check_routing(cases: &str) {
    check_by(cases, |name, text| {
        let finished = finish(loaded(&[(name, text)]), Structure::compile);
        finished.err().unwrap_or_default()
    });
}

#[track_caller]
fn check_by(cases: &str, problems: impl Fn(&str, &str) -> Vec<Problem>) {
    let mut wrong = String::new();
    let mut n_cases = 0;
    for case in cases.split("==== ").filter(|case| !case.is_empty()) {
        let (headline, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.split_once("----\n").unwrap();
        let said = said(headline, text, &problems);
        if said.trim() != expected.trim() {
            wrong +=
                &format!("==== {headline}\n{text}---- said\n{said}\n---- expected\n{expected}\n");
        }
        n_cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(n_cases > 15, "only {n_cases} cases were found");
}

/// The first lines of all problems, without the name of the file.
fn said(headline: &str, text: &str, problems: impl Fn(&str, &str) -> Vec<Problem>) -> String {
    let (format, _) = headline.split_once(": ").unwrap();
    let (name, text) = match format {
        "json alone" => ("f.json", text.to_owned()),
        "toml alone" => ("f.toml", text.to_owned()),
        "toml" => ("f.toml", format!("{text}{LISTENER}")),
        other => panic!("unknown format {other}"),
    };
    let problems = problems(name, &text);
    let said = problems.iter().map(|problem| {
        let shown = problem.to_string();
        let first = shown.lines().next().unwrap();
        first.strip_prefix(&format!("{name}:")).unwrap().to_owned()
    });
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn bad_syntax_is_refused() {
    check(include_str!("refused/syntax.txt"));
}

#[test]
fn unknown_and_missing_keys_are_refused() {
    check(include_str!("refused/keys.txt"));
}

#[test]
fn values_of_the_wrong_form_are_refused() {
    check(include_str!("refused/values.txt"));
}

#[test]
fn ways_to_targets_that_lead_nowhere_are_refused() {
    check(include_str!("refused/discovery.txt"));
}

#[test]
fn actions_that_cannot_be_carried_out_are_refused() {
    check_routing(include_str!("refused/actions.txt"));
}

#[test]
fn terms_of_tls_that_cannot_be_met_are_refused() {
    check(include_str!("refused/tls.txt"));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    check(include_str!("refused/settings.txt"));
}
