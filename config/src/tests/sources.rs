//! Several files as one, the environment, and faults found by meaning: what is reported, once, and where.

use super::{MINIMAL, loaded, read};
use crate::digest::digest;
use crate::load::{Main, Text, finish};
use crate::model::Config;
use crate::problem::{Fault, Path};

/// First lines of the problems of several files.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let problems = read(files).expect_err("the files are wrong");
    let shown = problems.iter().map(ToString::to_string);
    shown
        .map(|shown| shown.lines().next().unwrap().to_owned())
        .collect()
}

fn names(config: &Config) -> Vec<&str> {
    config
        .listeners
        .iter()
        .map(|listener| listener.name.as_str())
        .collect()
}

#[test]
fn lists_grow_in_the_order_of_the_file_names_and_tables_merge() {
    let config = read(&[
        ("k.toml", &format!("{MINIMAL}[server]\nthreads = 2\n[pools.ec2]\ntargets = ['127.0.0.1:1']\n")),
        ("r.d/20.toml", "[[listeners]]\nname = 'c'\nbind = '127.0.0.1:0'\n[pools.ecs]\ntargets = ['127.0.0.1:3']\n"),
        (
            "r.d/10.json",
            r#"{"version": 1, "listeners": [{"name": "b", "bind": "127.0.0.1:0"}], "server": {"pre_drain": "1s"}, "pools": {"ec2": {"targets": ["127.0.0.1:2"]}}}"#,
        ),
    ])
    .unwrap();
    assert_eq!(names(&config), ["public", "b", "c"]);
    assert_eq!(
        (config.server.threads, config.server.pre_drain.to_string()),
        (2, "1s".into())
    );
    let targets = |pool| Some(config.pools.get(pool)?.targets.as_ref()?.len());
    assert_eq!(targets("ec2"), Some(2));
    assert_eq!(targets("ecs"), Some(1));
}

#[test]
fn the_same_key_in_two_files_names_both_places() {
    let main = format!(
        "{MINIMAL}[server]\nthreads = 2\n[pools.ec2]\ntargets = ['127.0.0.1:1']\nretries = 1\n"
    );
    let shown = problems(&[
        ("k.toml", &main),
        (
            "a.toml",
            "version = 2\ninclude = ['x']\n\n[pools.ec2]\nretries = 2\n[server]\nthreads = 2\n",
        ),
    ]);
    assert_eq!(
        shown,
        [
            "a.toml:1:11: version: given twice, first at k.toml:1",
            "a.toml:2:1: include: only the main file may include others",
            "a.toml:5:11: pools.ec2.retries: given twice, first at k.toml:9",
            "a.toml:7:11: server.threads: given twice, first at k.toml:6",
        ]
    );
}

#[test]
fn a_problem_names_the_file_it_is_in() {
    let shown = problems(&[
        ("k.toml", &format!("{MINIMAL}[pools.ec2]\ntargets = []\n")),
        (
            "b.toml",
            "[[listeners]]\nname = 'b'\nbind = '127.0.0.1:0'\nport = 1\n",
        ),
        (
            "c.toml",
            "[[listeners]]\nname = 'public'\nbind = '${NOTHING}'\n",
        ),
    ]);
    assert_eq!(
        shown,
        [
            "k.toml:6:11: pools.ec2.targets: a pool needs at least one target, as [\"127.0.0.1:3001\"]",
            "b.toml:4:1: listeners[1].port: unknown key; allowed here: `name`, `bind`, `h2c`, `tls`, `proxy_protocol`",
            "c.toml:2:8: listeners[2].name: \"public\" is the name of another one too",
            "c.toml:3:9: listeners[2].bind: the environment variable `NOTHING` is not set; set it or give a default as `${NOTHING:-default}`",
        ]
    );
}

#[test]
fn syntax_errors_of_all_files_are_reported_together() {
    let shown = problems(&[("k.toml", "a = \n"), ("a.json", "{"), ("b.toml", MINIMAL)]);
    assert_eq!(
        shown,
        [
            "k.toml:1:5: a value is missing",
            "a.json:1:1: EOF while parsing an object",
        ]
    );
}

#[test]
fn everything_wrong_is_reported_in_one_go() {
    let text = format!(
        "{MINIMAL}name = 'x'\n[server]\nmax_conections = 1\npre_drain = 5\n[pools.ec2]\ntargets = ['web:80']\nretries = 99\n\
         [[routes]]\nname = 'r'\nstable = 'nope'\nweights = {{ ec2 = 'x' }}\n[[access_log]]\n"
    );
    let loaded = loaded(&[("k.toml", &text)]);
    let compile = |config: &Config| -> Result<(), Vec<Fault>> {
        assert_eq!(config.routes[0].stable_pool(), "nope");
        assert!(config.pools.get("ec2").is_some());
        let route = Path::default().key("routes").index(0);
        Err(vec![
            route.key("stable").fault("there is no pool `nope`"),
            route.key("weights").fault("not all weights may be 0"),
            Path::default()
                .key("pools")
                .key("ec2")
                .key("targets")
                .index(0)
                .fault("said already"),
        ])
    };
    let problems = finish(loaded, compile).unwrap_err();
    let keys: Vec<_> = problems
        .iter()
        .map(|problem| (problem.key.as_str(), problem.line))
        .collect();
    assert_eq!(
        keys,
        [
            ("", Some(5)),
            ("server.max_conections", Some(7)),
            ("server.pre_drain", Some(8)),
            ("pools.ec2.targets[0]", Some(10)),
            ("pools.ec2.retries", Some(11)),
            ("routes[0].stable", Some(14)),
            ("routes[0].weights.ec2", Some(15)),
            ("access_log[0].path", Some(16)),
        ]
    );
}

#[test]
fn what_only_follows_from_something_wrong_stays_unsaid() {
    let text = format!(
        "{MINIMAL}[pools]\nec2 = 5\n[[routes]]\nnmae = 'r'\nstable = 5\nweights = {{ ec2 = 1 }}\n[[routes]]\nname = 3\nstable = 'ec2'\n"
    );
    let loaded = loaded(&[("k.toml", &text)]);
    let route = |n: usize| Path::default().key("routes").index(n);
    let problems = finish(loaded, |config: &Config| -> Result<(), Vec<Fault>> {
        assert!(config.pools.get("ec2").is_some());
        Err(vec![
            route(0).key("name").fault("empty"),
            route(0).key("stable").fault("no such pool"),
            route(0).key("weights").fault("`stable` is not among them"),
            route(0).fault("something about the whole route"),
            route(0)
                .key("weights")
                .key("ec2")
                .fault("true of this one alone"),
            route(1).key("name").fault("the same name twice"),
        ])
    });
    let shown: Vec<_> = problems
        .unwrap_err()
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    assert_eq!(
        shown,
        [
            "pools.ec2",
            "routes[0].nmae",
            "routes[0].stable",
            "routes[0].weights.ec2",
            "routes[1].name",
        ]
    );
}

#[test]
fn a_fault_is_shown_at_its_key_or_at_the_nearest_thing_around_it() {
    let text = "version = 1\n[pools.ec2]\ntargets = ['127.0.0.1:1']\n[partitions.hosts]\n'*.a.com' = 'a'\n[[routes]]\n  weights = { ecs = 5 }\n";
    let loaded = loaded(&[("k.toml", text)]);
    let at = |path: Path| {
        let problem = loaded.place(&path.fault("m"));
        (problem.line.unwrap(), problem.column.unwrap())
    };
    let top = Path::default();
    let route = top.key("routes").index(0);
    assert_eq!(at(top.clone()), (1, 1));
    assert_eq!(at(top.key("admin").key("bind")), (1, 1));
    assert_eq!(at(top.key("pools").key("ec2")), (2, 8));
    assert_eq!(at(top.key("pools").key("ec2").key("retries")), (2, 8));
    assert_eq!(
        at(top.key("pools").key("ec2").key("targets").index(0)),
        (3, 12)
    );
    assert_eq!(
        at(top.key("pools").key("ec2").key("targets").index(7)),
        (3, 11)
    );
    assert_eq!(
        at(top.key("partitions").key("hosts").key("*.a.com")),
        (5, 1)
    );
    assert_eq!(at(route.clone()), (6, 1));
    assert_eq!(at(route.key("stable")), (6, 1));
    assert_eq!(at(route.key("weights").key("ecs")), (7, 15));
}

#[test]
fn variables_reach_every_string_value_and_no_key() {
    let config = read(&[(
        "k.toml",
        &format!("{MINIMAL}[pools.ec2]\ntargets = ['${{HOST}}:80', {{ address = '${{H:-127.0.0.1}}:80' }}]\n[partitions.hosts]\n'${{HOST}}' = '$${{x}}'\n"),
    )])
    .unwrap();
    let targets = serde_json::to_value(&config.pools.get("ec2").unwrap().targets).unwrap();
    assert_eq!(targets[0], "10.0.0.9:80");
    assert_eq!(targets[1]["address"], "127.0.0.1:80");
    assert_eq!(config.partitions.hosts["${HOST}"], "${x}");
}

#[test]
fn the_patterns_of_include_are_known_before_the_rest_is_right() {
    let includes = |name: &str, text: &str| {
        let main = Main::read(Text {
            name: name.into(),
            text: text.into(),
        });
        main.includes(&super::environment)
    };
    let toml =
        "version = 'x'\ninclude = ['${HOST}/*.toml', 5, 'b.toml']\n[server]\nsecret = '${NO}'\n";
    assert_eq!(
        includes("k.toml", toml).unwrap(),
        ["10.0.0.9/*.toml", "", "b.toml"]
    );
    assert_eq!(includes("k.json", r#"{"include": ["a"]}"#).unwrap(), ["a"]);
    assert_eq!(includes("k.json", "[]").unwrap(), Vec::<String>::new());
    assert_eq!(includes("k.toml", "").unwrap(), Vec::<String>::new());
    assert_eq!(
        includes("k.toml", "include = ['${NO}']").unwrap_err().len(),
        1
    );
    assert_eq!(includes("k.toml", "include = [").unwrap_err().len(), 1);
}

#[track_caller]
fn check_digest(a: &str, b: &str, is_same: bool) {
    let digest = |text: &str| digest(&read(&[("k.toml", &format!("{MINIMAL}{text}"))]).unwrap());
    assert_eq!(digest(a).len(), 12);
    assert_eq!(digest(a) == digest(b), is_same, "{a}\n{b}");
}

#[test]
fn the_digest_tells_meaning_not_writing() {
    let pools = "[pools.a]\ntargets = ['127.0.0.1:1']\n[pools.b]\ntargets = ['127.0.0.1:2']\n";
    let swapped = "[pools.b]\ntargets=['127.0.0.1:2'] # b\n[pools.a]\nretries = 1\ntargets = ['127.0.0.1:1']\n";
    check_digest(pools, swapped, true);
    check_digest("[server]\nsecret = 'a'\n", "[server]\nsecret = 'b'\n", true);
    check_digest("[server]\nthreads = 1\n", "[server]\nthreads = 2\n", false);
    let traced = |keys: &str| format!("[telemetry]\notlp = 'http://c.test'\n{keys}\n");
    check_digest(&traced("sample = 0.1"), &traced("sample = 0.2"), false);
    check_digest(&traced(""), &traced("headers = { key = 'a' }"), true);
    let route =
        |weights: &str| format!("[[routes]]\nname = 'r'\nstable = 'a'\nweights = {weights}\n");
    check_digest(
        &route("{ a = 1, b = 2 }"),
        &route("{ b = 2, a = 1 }"),
        false,
    );
    check_digest(
        &route("{ a = 1, b = 2 }"),
        &route("{ a = 1, b = 3 }"),
        false,
    );
    let routes = |first: &str, second: &str| {
        format!(
            "[[routes]]\nname = '{first}'\nstable = 'a'\n[[routes]]\nname = '{second}'\nstable = 'a'\n"
        )
    };
    check_digest(&routes("x", "y"), &routes("y", "x"), false);
}
