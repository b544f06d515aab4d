//! What shows that two pools differ, for few users, and what one of them would have to carry.

use serde_json::Value;

use super::pair;
use crate::support::{File, Kanaria, Stub, get, sized, volley};

/// Requests that say whose they are, by a number that does not go in step with anything.
fn from_user(path: &str, n: usize) -> String {
    let user = n.wrapping_mul(2_654_435_761) % 1_000_003;
    get(path, &format!("X-User: {user}\r\n"))
}

/// Whether the user is one of `parts` in a hundred.
fn is_hit(user: Option<&str>, parts: usize) -> bool {
    let user: Option<usize> = user.and_then(|user| user.parse().ok());
    user.is_some_and(|user| user % 100 < parts)
}

/// A pool that answers 500 on `/settings` to `parts` in a hundred users.
fn broken(name: &'static str, parts: usize) -> Stub {
    Stub::with(name, move |exchange| {
        let hit = exchange.path() == "/settings" && is_hit(exchange.head.get("x-user"), parts);
        if hit {
            return exchange.answer("500 Internal Server Error", "", b"");
        }
        exchange.plain()
    })
}

fn load(kanaria: &Kanaria, n: usize) {
    volley(kanaria.public, n, 8, |n| match n % 4 {
        0 | 1 => from_user("/settings", n),
        2 => from_user(&format!("/entry/{n}"), n),
        _ => from_user("/", n),
    });
    kanaria.log_of(n);
}

fn harmed(comparison: &Value) -> Vec<&Value> {
    let paths = comparison["paths"].as_array().unwrap().iter();
    paths.filter(|path| path["harmed"] == true).collect()
}

/// A fault that hits 2 % of the users on one path, at 10 % weight: the path is named, and pools that fail alike are not.
#[test]
fn field_gree_22() {
    let (ec2, ecs) = (Stub::start("ec2"), broken("ecs", 2));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 90, ecs = 10"));
    load(&kanaria, 16_000);
    let comparison = kanaria.run_json(&["compare", "web", "--window", "1h"]);
    let found = harmed(&comparison);
    let [path] = &*found else {
        panic!("{}", comparison["paths"]);
    };
    println!("{path}");
    assert_eq!(
        (&path["path"], &path["canary"]),
        (&"/settings".into(), &"ecs".into())
    );
    let told = kanaria.run(&["compare", "web"]);
    assert!(
        told.stdout.contains("ecs harms /settings"),
        "{}",
        told.stdout
    );
    drop(kanaria);

    let n_runs = sized(3, 20);
    let n_false = (0..n_runs)
        .filter(|_| {
            let (ec2, ecs) = (broken("ec2", 5), broken("ecs", 5));
            let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 90, ecs = 10"));
            load(&kanaria, sized(2_000, 8_000));
            let comparison = kanaria.run_json(&["compare", "web"]);
            assert_eq!(comparison["alpha"], 0.001);
            !harmed(&comparison).is_empty()
        })
        .count();
    println!(
        "{n_false} of {n_runs} runs without a difference are called harm, bound 0 (each with a chance of 0.001)"
    );
    assert_eq!(n_false, 0);
}

/// What a canary at 10 % does tells what it would have to carry alone.
#[test]
fn field_hatena_25() {
    let sized_answer = |name| {
        Stub::with(name, |exchange| {
            let n: usize = exchange.path().trim_matches('/').parse().unwrap_or(0);
            exchange.answer("200 OK", "", &vec![b'x'; n % 40 * 100])
        })
    };
    let n = sized(4_000, 20_000);
    let run = |weights: &str| {
        let (ec2, _) = pair();
        let ecs = sized_answer("ecs");
        let kanaria = Kanaria::start(&File::split(&ec2, &ecs, weights));
        volley(kanaria.public, n, 8, |n| get(&format!("/{n}"), ""));
        kanaria.log_of(n);
        let comparison = kanaria.run_json(&["compare", "web", "--window", "1h"]);
        (comparison, ecs.count())
    };
    let (small, _) = run("ec2 = 90, ecs = 10");
    let (whole, arrived) = run("ec2 = 0, ecs = 1");
    assert_eq!(arrived, n);
    let seconds = small["seconds"].as_f64().unwrap();
    let alone = |key: &str| small["pools"][1]["alone"][key].as_f64().unwrap() * seconds;
    let (requests, bytes) = (alone("requests_per_s"), alone("bytes_out_per_s"));
    let actual = whole["pools"][1]["bytes_out"].as_f64().unwrap();
    println!(
        "foretold {requests:.0} requests and {bytes:.0} bytes; {n} and {actual:.0} came; bound 10 %"
    );
    assert!((requests / n as f64 - 1.0).abs() < 0.1);
    assert!((bytes / actual - 1.0).abs() < 0.1);
}
