//! Golden vectors, computed with 60 digits by another program; `canary/vectors` has them, one JSON file a case.

use std::path::Path;

use serde_json::Value;

use super::*;

/// How far a result may be off, relative to its size or to 1.
const CLOSE: f64 = 1e-9;

/// All cases of `kind`; there is at least one.
#[expect(clippy::disallowed_methods, reason = "a test may read its vectors")]
fn cases(kind: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let files = folder.read_dir().unwrap();
    let texts = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let all = texts.map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    let cases: Vec<_> = all.filter(|case| case["kind"] == kind).collect();
    assert!(!cases.is_empty(), "no vectors of kind {kind}");
    cases
}

#[track_caller]
fn close(got: f64, want: &Value, what: &str) {
    let want = match want {
        Value::String(text) if text == "-inf" => f64::NEG_INFINITY,
        number => number.as_f64().unwrap(),
    };
    let is_close = got == want || (got - want).abs() <= CLOSE * want.abs().max(1.0);
    assert!(is_close, "{what}: got {got}, want {want}");
}

fn list<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    case[key].as_array().unwrap().iter()
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap()
}

fn count(case: &Value, key: &str) -> u32 {
    case[key].as_u64().unwrap().try_into().unwrap()
}

fn numbers(case: &Value, key: &str) -> Vec<f64> {
    list(case, key)
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn row(case: &Value) -> Row {
    Row {
        n_c: count(case, "n_c"),
        k_c: count(case, "k_c"),
        n_b: count(case, "n_b"),
        k_b: count(case, "k_b"),
    }
}

fn terms(config: &Value) -> Terms {
    Terms {
        alpha: number(config, "alpha"),
        share: number(config, "alpha_share"),
        ratio: number(config, "rho"),
        margin: number(config, "delta"),
        crowd: number(config, "pop_c"),
        harms: numbers(config, "kappas"),
        drip: number(config, "hazard"),
        step: number(config, "step_hazard"),
        max_steps: count(config, "max_step_injections"),
        clip: number(config, "clip"),
        leave_out: config["leave_out"] == 1,
    }
}

#[test]
fn one_bet_is_that_of_the_golden_vectors() {
    for case in cases("log_e") {
        for given in list(&case, "rows") {
            let (ratio, margin) = (number(given, "rho"), number(given, "delta"));
            let got = log_e(row(given), ratio, margin, number(given, "kappa"));
            close(got, &given["log_e"], &format!("{} {given}", case["name"]));
        }
    }
}

#[test]
fn the_process_is_that_of_the_golden_vectors() {
    for case in cases("guard") {
        let terms = terms(&case["config"]);
        close(terms.threshold(), &case["threshold"], "threshold");
        let mut process = Process::new(&terms);
        for (at, given) in list(&case, "windows").enumerate() {
            let what = format!("{} window {at}", case["name"]);
            let window = Window {
                rows: serde_json::from_value(given["rows"].clone()).unwrap(),
                units_c: count(given, "units_c"),
                step: given["step"] == true,
                frozen: given["frozen"] == true,
                temper: number(given, "temper"),
            };
            close(process.close(&terms, &window), &given["log_e"], &what);
            assert_eq!(process.tripped(), given["tripped"] == true, "{what}");
            process = written_and_read(&process);
        }
        ends_as(&process, &case["final"], &case["name"]);
    }
}

/// What a restart of the router does to it.
fn written_and_read(process: &Process) -> Process {
    serde_json::from_str(&serde_json::to_string(process).unwrap()).unwrap()
}

#[track_caller]
fn ends_as(process: &Process, end: &Value, name: &Value) {
    let what = format!("{name} at its end");
    close(process.log_cash(), &end["log_cash"], &what);
    close(process.max_log_e(), &end["max_log_e"], &what);
    assert_eq!(process.steps(), count(end, "step_injections"), "{what}");
    let left_out: Vec<f64> = process.by_left_out().collect();
    let wanted: Vec<_> = list(end, "log_e_by_left_out_group").collect();
    assert_eq!(left_out.len(), wanted.len(), "{what}");
    for (got, want) in left_out.into_iter().zip(wanted) {
        close(got, want, &what);
    }
    for (got, want) in process.log_position().iter().zip(list(end, "log_position")) {
        for (got, want) in got.iter().zip(want.as_array().unwrap()) {
            close(*got, want, &what);
        }
    }
}

#[test]
fn the_gate_is_that_of_the_golden_vectors() {
    for case in cases("gate") {
        let config = &case["config"];
        let terms = GateTerms {
            alpha: number(config, "alpha"),
            ratio: number(config, "rho"),
            margin: number(config, "delta"),
            harms: numbers(config, "kappas"),
        };
        close(terms.threshold(), &case["threshold"], "threshold");
        let mut gate = Gate::new(&terms);
        for (at, given) in list(&case, "windows").enumerate() {
            let what = format!("{} window {at}", case["name"]);
            let temper = given["temper"].as_f64().unwrap_or(1.0);
            close(
                gate.close(&terms, row(given), temper),
                &given["log_e"],
                &what,
            );
            assert_eq!(gate.is_open(), given["open"] == true, "{what}");
        }
    }
}

#[test]
fn the_temper_is_that_of_the_golden_vectors() {
    for case in cases("burstiness") {
        let mut temper = Temper::default();
        for (at, minute) in list(&case, "minutes").enumerate() {
            let what = format!("{} minute {at}", case["name"]);
            temper.minute(count(minute, "N"), count(minute, "K"));
            match &minute["rate"] {
                Value::Null => assert_eq!(temper.rate(), None, "{what}"),
                rate => close(temper.rate().unwrap(), rate, &what),
            }
            close(temper.excess(), &minute["excess"], &what);
            let factor = temper.factor(count(minute, "n_c"), count(minute, "n_b"));
            close(factor, &minute["temper"], &what);
        }
    }
}

/// One event: when, which side, which unit, whether it was bad.
type Event = (u64, String, u16, bool);

#[test]
fn units_at_risk_are_those_of_the_golden_vectors() {
    for case in cases("units") {
        let config = &case["config"];
        let epoch = Epoch {
            length_ms: u64::from(count(config, "epoch_ms")),
            max_failed: number(config, "epoch_max_failed"),
            min_seen: count(config, "epoch_min_seen") as usize,
        };
        let events: Vec<Event> = serde_json::from_value(case["events"].clone()).unwrap();
        let length = u64::from(count(config, "window_ms"));
        let mut risk = RiskSet::default();
        for given in list(&case, "windows") {
            let start = given["start_ms"].as_u64().unwrap();
            let within: Vec<_> = events
                .iter()
                .filter(|event| event.0 / length == start / length)
                .collect();
            let units = |side: &str, only_bad: bool| {
                let mut units = Units::default();
                let of_side = within
                    .iter()
                    .filter(|event| event.1 == side && (event.3 || !only_bad));
                units.extend(of_side.map(|event| event.2));
                units
            };
            let active = [units("canary", false), units("baseline", false)];
            let bad = [units("canary", true), units("baseline", true)];
            let closed = risk.close(&epoch, start, active.each_ref(), bad.each_ref());
            let what = format!("{} window at {start}", case["name"]);
            assert_eq!(
                serde_json::to_value(closed.rows).unwrap(),
                given["rows"],
                "{what}"
            );
            assert_eq!(closed.units_c, count(given, "units_c"), "{what}");
            assert_eq!(closed.is_new_epoch, given["epoch_reset"] == true, "{what}");
        }
    }
}

#[test]
fn the_hard_limit_is_that_of_the_golden_vectors() {
    for case in cases("hard") {
        let config = &case["config"];
        let terms = HardTerms {
            seconds: count(config, "slots") as usize,
            requests: u64::from(count(config, "min_requests")),
            error_ratio: number(config, "bad_ratio"),
            bad_units: count(config, "min_bad_units") as usize,
            stable_error_ratio: number(config, "baseline_bad_ratio"),
        };
        let mut limit = HardLimit::default();
        for (at, slot) in list(&case, "slots").enumerate() {
            let mut bad_units = Units::default();
            bad_units.extend(list(slot, "bad_units").map(|unit| unit.as_u64().unwrap() as u16));
            let second = Second {
                n_c: u64::from(count(slot, "n_c")),
                k_c: u64::from(count(slot, "k_c")),
                bad_units,
                n_b: u64::from(count(slot, "n_b")),
                k_b: u64::from(count(slot, "k_b")),
            };
            let trips = limit.second(&terms, second);
            assert_eq!(trips, slot["trip"] == true, "{} second {at}", case["name"]);
        }
    }
}

#[test]
fn times_to_detection_are_those_of_the_golden_vectors() {
    for case in cases("time_to_detect") {
        let terms = terms(&case["config"]);
        for given in list(&case, "rows") {
            let what = format!("{} {given}", case["name"]);
            let traffic = Traffic {
                n_c: number(given, "n_c"),
                n_b: number(given, "n_b"),
                p_b: number(given, "p_b"),
                p_c: number(given, "p_c"),
                units_c: number(given, "units_c"),
            };
            let got = time_to_detect(&terms, &traffic, given["at_step"] == true);
            match (&given["windows"], got) {
                (Value::Null, None) => {}
                (want, Some(got)) => close(got, want, &what),
                (want, None) => panic!("{what}: never, want {want}"),
            }
        }
    }
}

#[test]
fn slow_is_what_the_golden_vectors_say() {
    for case in cases("latency_thresholds") {
        let edges = numbers(&case, "edges_ms");
        let counts: Vec<u64> = serde_json::from_value(case["reference"].clone()).unwrap();
        for given in list(&case, "rows") {
            let (quantile, relative) = (number(given, "q"), number(given, "rel"));
            let got = thresholds(&edges, &counts, quantile, relative, number(given, "abs_ms"));
            let edge = |bin: Option<usize>| bin.map(|bin| edges[bin]);
            let stable = edge(got.map(|got| got.stable));
            let canary = edge(got.and_then(|got| got.canary));
            assert_eq!(stable, given["baseline_edge_ms"].as_f64(), "{given}");
            assert_eq!(canary, given["canary_edge_ms"].as_f64(), "{given}");
        }
    }
}
