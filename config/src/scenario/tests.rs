//! Reading scenarios: the ones that are shipped, and wrong ones.

use super::*;
use crate::load::Text;
use crate::schema::sections_of;

fn problems(text: &str) -> String {
    let text = Text {
        name: "odd.toml".into(),
        text: text.into(),
    };
    let problems = read(text).expect_err("refused");
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    told.join("\n")
}

#[test]
fn an_empty_file_is_a_healthy_site() {
    let text = Text {
        name: "empty.toml".into(),
        text: String::new(),
    };
    assert_eq!(read(text).unwrap().scenario, Scenario::default());
}

#[test]
fn every_shipped_scenario_is_valid_and_says_what_it_shows() {
    let mut names: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    for shipped in SHIPPED {
        let written = read(shipped.text()).unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert!(!written.scenario.about.is_empty(), "{}", shipped.name);
        assert!(Shipped::named(shipped.name).is_some());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SHIPPED.len());
}

#[test]
fn every_key_is_described() {
    for section in sections_of(schema()) {
        for key in &section.keys {
            let described = key.schema["description"].as_str();
            assert!(described.is_some(), "{} {}", section.header, key.name);
        }
    }
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    insta::assert_snapshot!(problems(
        "length = '3 days'\nclinets = 4\n[traffic]\nrps = -1\nquiet = 'at night'\n[[harm]]\nerorrs = 0.5\nstep = 0\n[[bots]]\nplace = 'here'\n"
    ), @r#"
    odd.toml:1:10: length: `3 days` is not a duration; write a whole number and one of ms s m h d, as 250ms or 3d
      |
    1 | length = '3 days'
      |          ^^^^^^^^
    odd.toml:2:1: clinets: unknown key, did you mean `clients`?
      |
    2 | clinets = 4
      | ^^^^^^^
    odd.toml:4:7: traffic.rps: must be a number from 0 to 100000, found -1
      |
    4 | rps = -1
      |       ^^
    odd.toml:5:9: traffic.quiet: "at night" is not hours of a week; write days, times and a time zone, as Mon-Thu 10:00-17:00 Asia/Tokyo
      |
    5 | quiet = 'at night'
      |         ^^^^^^^^^^
    odd.toml:7:1: harm[0].erorrs: unknown key, did you mean `errors`?
      |
    7 | erorrs = 0.5
      | ^^^^^^
    odd.toml:8:8: harm[0].step: must be from 1 to 1000, found 0
      |
    8 | step = 0
      |        ^
    odd.toml:10:9: bots[0].place: "here" is not allowed here; write `any`, `canary` or `stable`
       |
    10 | place = 'here'
       |         ^^^^^^
    "#);
}

#[test]
fn keys_are_judged_together() {
    insta::assert_snapshot!(problems(
        "start = 'tomorrow'\nlength = '500d'\nanswers = { errors = 0.9, client_errors = 0.2 }\n[[harm]]\npool = 'ecs'\n[[harm]]\nerrors = 0.6\nclient_errors = 0.5\n"
    ), @r#"
    odd.toml:1:9: start: "tomorrow" is no moment: failed to parse four digit integer as year: invalid digit, expected 0-9 but got t; write one as "2026-06-01T09:00:00+09:00"
      |
    1 | start = 'tomorrow'
      |         ^^^^^^^^^^
    odd.toml:2:10: length: must be at most 400d, found 500d
      |
    2 | length = '500d'
      |          ^^^^^^
    odd.toml:3:1: answers: errors 0.9 and client_errors 0.2 are parts of the same requests: together at most 1
      |
    3 | answers = { errors = 0.9, client_errors = 0.2 }
      | ^^^^^^^
    odd.toml:4:1: harm[0]: does no harm: give it one of `errors`, `client_errors`, `slower`, `down` and `probe_fails`
      |
    4 | [[harm]]
      | ^^^^^^^^
    odd.toml:6:1: harm[1]: errors 0.6 and client_errors 0.5 are parts of the same requests: together at most 1
      |
    6 | [[harm]]
      | ^^^^^^^^
    "#);
}

#[test]
fn a_text_that_is_no_toml_is_one_problem() {
    assert!(problems("a = = 1").starts_with("odd.toml:1:5: "));
}
