//! A migration before it happens: a file and a scenario, without a router.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Outcome, command, long};

const FILE: &str = "
version = 1
[[listeners]]
name = 'public'
bind = '127.0.0.1:0'
[pools.ec2]
targets = ['127.0.0.1:3001']
[pools.ecs]
targets = ['127.0.0.1:3002']
[[routes]]
name = 'old'
match = { host = 'old.example.com' }
redirect = { host = 'www.example.com' }
[[routes]]
name = 'web'
stable = 'ec2'
weights = { ec2 = 100, ecs = 0 }
[routes.guard]
[routes.ramp]
steps = [{ percent = 10, hold = '5m' }, { percent = 100, hold = '5m' }]
require_evidence = false
";

const HARM: &str = "
about = 'the canary is broken'
operator = { start = '0s', cold = true }
traffic.rps = 40
[[harm]]
step = 1
from = '1m'
errors = 0.9
";

fn folder(scenario: &str) -> TempDir {
    folder_of(FILE, scenario)
}

fn folder_of(file: &str, scenario: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("kanaria.toml"), file).expect("ours");
    fs::write(folder.path().join("odd.toml"), scenario).expect("ours");
    folder
}

fn simulate(folder: &TempDir, arguments: &[&str]) -> Outcome {
    let all = [&["simulate", "kanaria.toml"], arguments].concat();
    command(folder.path(), &all)
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, texts: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    for text in texts {
        let said = outcome.stdout.contains(text) || outcome.stderr.contains(text);
        assert!(said, "no {text:?} in {outcome:?}");
    }
}

#[test]
fn a_broken_canary_is_shown_to_be_taken_back_before_anybody_has_met_it() {
    let folder = folder(HARM);
    let told = simulate(&folder, &["--scenario", "odd.toml", "--expect", "rollback"]);
    says(
        &told,
        0,
        &[
            "route web, scenario odd.toml: the canary is broken",
            "the operator starts the ramp",
            "harm: canary fails 90 %",
            "the guard trips: ",
            "it ended rolled back in 1 attempt",
            "to weight 0: ",
        ],
    );
    let unexpected = simulate(&folder, &["--scenario", "odd.toml", "--expect", "complete"]);
    says(&unexpected, 1, &["not as expected (complete)"]);
    let entries = fs::read_dir(folder.path()).expect("ours").count();
    assert_eq!(entries, 2, "nothing is written beside the two files");
}

/// The short form has an hour in place of three that the guard knows stable for; the long one is the scenario as shipped.
#[test]
fn a_canary_that_is_40_percent_slower_is_taken_back_by_the_guard_of_the_file() {
    let slow = "length = '90m'\noperator = { start = '0s', cold = true }\ntraffic = { rps = 30, swing = 0 }\n\
                [[harm]]\nstep = 2\nfrom = '1h'\nslower = 1.4\n";
    let steps = "steps = [{ percent = 10, hold = '5m' }, { percent = 30, hold = '1d' }]";
    let old = "steps = [{ percent = 10, hold = '5m' }, { percent = 100, hold = '5m' }]";
    let guarded = FILE.replace(old, steps);
    let scenario = if long() { "slow" } else { "odd.toml" };
    let arguments = ["--scenario", scenario, "--expect", "rollback"];
    let told = simulate(&folder_of(&guarded, slow), &arguments);
    let last = "from the first harm on a canary";
    says(
        &told,
        0,
        &[
            "harm: canary takes 1.4 times as long",
            "the guard trips: latency_p",
            last,
        ],
    );
    let found = told.stdout.lines().find(|line| line.starts_with(last));
    println!("{scenario}: {}", found.unwrap_or_default());
    // Without a guard nobody finds it, and the output says why.
    let unguarded = guarded.replace("[routes.guard]\n", "");
    let told = simulate(&folder_of(&unguarded, slow), &["--scenario", "odd.toml"]);
    says(
        &told,
        0,
        &[
            "- a guard, for the route has no `[routes.guard]`: harm may hold the ramp, and nothing is taken back",
            "nothing was taken back after it",
        ],
    );
}

/// Both are of the router's own code, and what of them is made up is said.
#[test]
fn caps_and_probes_are_simulated_and_what_is_left_out_is_said() {
    let file = FILE.replace(
        "require_evidence = false\n",
        "require_evidence = false\nprobe = 'https://www.example.com/up'\n[routes.cap]\nmax_rps = 2\nmax_concurrent = 4\n",
    );
    let scenario = "operator = { start = '0s', cold = true }\ntraffic = { rps = 40, swing = 0 }\n\
                    [[harm]]\nstep = 1\nlasts = '8m'\nprobe_fails = true\n";
    let folder = folder_of(&file, scenario);
    let told = simulate(&folder, &["--scenario", "odd.toml", "--expect", "complete"]);
    says(
        &told,
        0,
        &[
            "harm: canary fails its probe",
            "the cap binds: 2 requests a second, 4 at a time; what is over goes to stable",
            "over the cap, and so served by stable: ",
            "left out:\n- connections, bodies, ",
            "- the ramp's `probe` is made up",
            "- routers beside this one: ",
            "- `cap.max_concurrent` while a body or a WebSocket lasts",
        ],
    );
    let json = simulate(&folder, &["--scenario", "odd.toml", "--json"]);
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let step = |at: u64| {
        let rows = report["rows"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["step"] == at).expect("a step");
        row["elapsed_s"].as_u64().expect("seconds")
    };
    let held = step(2) - step(1);
    println!("the first step of 5 minutes was held for {held} s by a probe that failed for 480 s");
    assert!((480..=482).contains(&held), "{report:#}");
    assert!(report["summary"]["over_cap"].as_u64() > Some(0));
    assert_eq!(report["left_out"].as_array().map(Vec::len), Some(5));
}

#[test]
fn a_run_in_json_has_what_happened_and_each_of_its_requests() {
    let folder = folder(
        "length = '5m'\ntraffic.rps = 10\nclients.cookieless = 0.5\noperator = { start = '0s', cold = true }",
    );
    let arguments = [
        "--scenario",
        "odd.toml",
        "--json",
        "--requests",
        "requests.jsonl",
    ];
    let outcome = simulate(&folder, &arguments);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(report["rows"][1]["asked"], 0.1);
    assert_eq!(report["summary"]["outcome"], "under_way");
    let text = fs::read_to_string(folder.path().join("requests.jsonl")).expect("written");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(report["summary"]["requests"], lines.len());
    let of = |pool: &str| lines.iter().filter(|line| line["pool"] == pool).count();
    assert_eq!(report["summary"]["canary_requests"], of("ecs"));
    assert!(of("ecs") > 100 && of("ec2") > 1_000);
    let nobody = lines.iter().filter(|line| line["client"].is_null()).count();
    assert!((0.4..0.6).contains(&(nobody as f64 / lines.len() as f64)));
    let again = simulate(&folder, &arguments);
    assert_eq!(again.stdout, outcome.stdout, "the same seed, the same run");
}

#[test]
fn a_wrong_scenario_is_refused_with_every_place() {
    let folder = folder("traffic = { rsp = 4 }\n[[harm]]\npool = 'ecs'\nerrors = 2\n");
    let wrong = simulate(&folder, &["--scenario", "odd.toml"]);
    says(
        &wrong,
        78,
        &[
            "odd.toml:1:13: traffic.rsp: unknown key, did you mean `rps`?",
            "odd.toml:4:10: harm[0].errors: must be a number from 0 to 1, found 2",
            "odd.toml is not valid: 2 problems",
        ],
    );
    fs::write(
        folder.path().join("odd.toml"),
        "[[harm]]\npool = 'esc'\ndown = true\n",
    )
    .expect("ours");
    let unknown = simulate(&folder, &["--scenario", "odd.toml"]);
    says(
        &unknown,
        78,
        &["odd.toml:2:8: harm[0].pool: route `web` has no pool `esc`"],
    );
    says(
        &simulate(&folder, &["--scenario", "helthy"]),
        1,
        &["no scenario is called `helthy`; there are healthy, errors"],
    );
    says(
        &simulate(&folder, &["--route", "wbe"]),
        1,
        &["route `wbe` does not exist; routes are old, web"],
    );
    says(
        &simulate(&folder, &["--route", "old"]),
        78,
        &["route `old` answers by itself"],
    );
    says(&simulate(&folder, &["--days", "0"]), 64, &["--days"]);
}
