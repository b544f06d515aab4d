//! Laws: no text makes the reading panic or the walk disagree with the model, and what is printed reads back equal.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{loaded, read};
use crate::digest::digest;
use crate::model::{
    AccessLog, Balance, BodyMatch, Cap, Compare, Config, CookieNames, Cookies, Ejection,
    ErrorBound, Expire, Failover, Fields, Flag, Guard, Headers, HealthCheck, HealthProtocol,
    LogFormat, Match, OnFull, OnTrip, Pattern, Pool, PoolTls, Port, QueryCondition, QueryValue,
    Ramp, Redirect, Replacement, Respond, RetryBudget, Rewrite, Rotate, Route, SameSite, Shadow,
    Step, Sticky, StickyMode, SuccessRate, Target, Values, When, indexed,
};
use crate::units::{Amount, Duration, Size, Term};

/// Reads a text in both formats; whatever it is, the model agrees with the walk, and every problem can be shown.
fn survives(text: &str) {
    for name in ["k.toml", "k.json"] {
        let loaded = loaded(&[(name, text), ("other.toml", text)]);
        let shown: Vec<_> = loaded.problems.iter().map(ToString::to_string).collect();
        assert!(loaded.config.is_some() || !shown.is_empty());
        let disagrees = |line: &&String| {
            line.contains("unknown field") || line.contains("did not match any variant")
        };
        assert_eq!(shown.iter().find(disagrees), None);
        if let Err(problems) = read(&[(name, text)]) {
            assert!(!problems.is_empty());
        }
    }
}

/// Pieces that lead into every corner of a file, in any order.
const PIECES: &[&str] = &[
    "version = 1\n",
    "\n",
    " ",
    "[server]\n",
    "[pools.a]\n",
    "[[routes]]\n",
    "[[listeners]]\n",
    "[routes.match]\n",
    "[[routes.flags]]\n",
    "[partitions.hosts]\n",
    "targets = ",
    "dns = ",
    "srv = ",
    "file = ",
    "weights = ",
    "name = ",
    "stable = ",
    "match = ",
    "host = ",
    "query = ",
    "drain_timeout = ",
    "threads = ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    ".",
    "\"",
    "'",
    "'''",
    "\\",
    "#",
    "${",
    "${HOST}",
    "}",
    "$",
    "5",
    "-1",
    "1e999",
    "0x",
    "nan",
    "true",
    "null",
    "1979-05-27",
    "\"a\"",
    "'127.0.0.1:1'",
    "\"10s\"",
    "{ a = 1, b = 2 }",
    "\"version\":1",
    "\"routes\":[",
    "\"pools\":{",
    "\"a\":",
    "\u{feff}",
    "日本",
    "\r\n",
    "\t",
    "\u{0}",
    "\u{1b}",
    "a.b.c = 1\n",
    "regex",
];

proptest! {
    // A failure prints its seed and its input; a file of seeds would outlive the strategies it was made by.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_characters_make_it_panic(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn no_pieces_of_a_file_make_it_panic(pieces in vec(prop::sample::select(PIECES), 0..40)) {
        survives(&pieces.concat());
    }

    #[test]
    fn a_file_with_one_character_changed_does_not_make_it_panic(
        at in any::<prop::sample::Index>(),
        other in any::<char>(),
    ) {
        for full in [include_str!("../../examples/full.toml"), include_str!("../../examples/terraform.json")] {
            let mut characters: Vec<char> = full.chars().collect();
            let at = at.index(characters.len());
            characters[at] = other;
            survives(&characters.iter().collect::<String>());
        }
    }

    #[test]
    fn what_is_printed_reads_back_equal(config in any_config()) {
        let toml = toml::to_string(&config).unwrap().replace("${", "$${");
        let json = serde_json::to_string(&config).unwrap().replace("${", "$${");
        for (name, text) in [("k.toml", &toml), ("k.json", &json)] {
            let loaded = loaded(&[(name, text)]);
            prop_assert_eq!(&loaded.problems, &[], "{}", text);
            let back = loaded.config.unwrap();
            prop_assert_eq!(&back, &config, "{}", text);
            prop_assert_eq!(digest(&back), digest(&config));
        }
    }
}

#[test]
fn deep_nesting_is_refused_without_exhausting_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{a=", "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        survives(&text);
        survives(&format!("a = {text}"));
    }
    let dotted = vec!["a"; 79].join(".");
    for levels in [31, 70] {
        let nested = format!("{{ {dotted} = ").repeat(levels);
        survives(&format!("{dotted} = {nested}1{}", "}".repeat(levels)));
    }
    survives(&format!("[{}]\na = 1\n", vec!["a"; 100_000].join(".")));
}

/// Keys are not looked at for variables, so they cannot be escaped either.
fn key() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace('{', ""))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", any::<String>(), Just("${HOST}".to_owned())]
}

fn values<T: Clone + std::fmt::Debug>(
    one: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Values<T>> {
    prop_oneof![
        one.clone().prop_map(Values::One),
        vec(one, 0..3).prop_map(Values::Many)
    ]
}

fn pattern() -> impl Strategy<Value = Pattern> + Clone {
    let text = "[a-z*?.日]{0,6}";
    prop_oneof![
        text.prop_map(Pattern::Wildcard),
        text.prop_map(|regex| Pattern::Regex { regex })
    ]
}

fn query() -> impl Strategy<Value = QueryCondition> {
    let value = (option::of("[a-z]{1,3}"), "[a-z*]{0,3}");
    let value = value.prop_map(|(key, value)| QueryValue { key, value });
    prop_oneof![
        prop::collection::btree_map("[a-z]{1,3}", values("[a-z]{0,3}"), 0..3)
            .prop_map(QueryCondition::ByKey),
        vec(value, 0..3).prop_map(QueryCondition::AnyOf),
    ]
}

prop_compose! {
    fn any_match()(
        partition in option::of(values(text().boxed())),
        host in option::of(values(pattern())),
        path in option::of(values(pattern())),
        header in prop::collection::btree_map("[A-Za-z-]{1,5}", values(pattern()), 0..3),
        query in option::of(query()),
        source_ip in option::of(values(prop::sample::select(vec!["10.0.0.0/8", "::1/128"]))),
    ) -> Match {
        let cidr = |text: &str| text.parse().unwrap();
        let source_ip = source_ip.map(|values| match values {
            Values::One(one) => Values::One(cidr(one)),
            Values::Many(many) => Values::Many(many.into_iter().map(cidr).collect()),
        });
        Match { partition, host, path, header, query, source_ip, ..Match::default() }
    }
}

prop_compose! {
    fn flag()(name in text(), cookie in option::of(text()), header in option::of(text()), value in text(), signed in any::<bool>(), reveal in any::<bool>()) -> Flag {
        Flag { name, cookie, header, value: (!signed).then_some(value), signed, favicon: signed.then(|| "f.ico".into()), pool: "p".into(), from: vec!["10.0.0.0/8".parse().unwrap()], reveal }
    }
}

prop_compose! {
    fn replacement()(one in text(), other in option::of(text())) -> Replacement {
        match other {
            Some(to) => Replacement::Regex { regex: one, to },
            None => Replacement::Text(one),
        }
    }
}

prop_compose! {
    fn rewrite()(path in option::of(replacement()), query in option::of(replacement()), url in option::of(replacement()), host in option::of(replacement())) -> Rewrite {
        Rewrite { path, query, url, host }
    }
}

prop_compose! {
    fn fields()(set in prop::collection::btree_map(key(), text(), 0..2), add in prop::collection::btree_map(key(), text(), 0..2), remove in vec(text(), 0..2)) -> Fields {
        let add = add.into_iter().map(|(name, value)| (name, Values::Many(vec![value])));
        Fields { set, add: add.collect(), remove }
    }
}

prop_compose! {
    fn headers()(request in fields(), response in fields()) -> Headers {
        Headers { request, response }
    }
}

prop_compose! {
    fn cookies()(drop in vec(text(), 0..2), rename in prop::collection::btree_map(key(), text(), 0..2), name in text(), domains in vec(text(), 0..2), twice in any::<bool>()) -> Cookies {
        let when = if twice { When::Twice } else { When::Present };
        let expire = vec![Expire { name, domains, path: "/".into(), when }];
        Cookies { request: CookieNames { drop, rename }, response: CookieNames::default(), expire }
    }
}

prop_compose! {
    fn redirect()(texts in vec(option::of(text()), 4), port in option::of(any::<u16>()), status in 301..=308u16) -> Redirect {
        let [protocol, host, path, query] = <[Option<String>; 4]>::try_from(texts).unwrap();
        Redirect { protocol, host, path, query, port: port.map(|port| Port::Number(port.max(1))), status }
    }
}

prop_compose! {
    fn respond()(status in 200..=599u16, content_type in text(), body in option::of(text()), wait in option::of(any::<u16>())) -> Respond {
        let retry_after = wait.map(|wait| Duration::seconds(wait.into()));
        Respond { status, content_type, body_file: body.clone().map(Into::into), body, retry_after }
    }
}

prop_compose! {
    fn route()(
        name in text(),
        matches in any_match(),
        action in (option::of(text()), option::of(redirect()), option::of(respond())),
        rules in (option::of(rewrite()), headers()),
        weights in prop::collection::hash_map(key(), any::<u32>(), 0..4),
        max_step in 0.0..=100.0f64,
        flags in vec(flag(), 0..2),
        (keys, fallback) in (vec(text(), 0..2), vec(text(), 0..2)),
        max_age in 0u64..36_500,
        cap in (0..=1_000_000u32, any::<u32>()).prop_map(|(max_rps, max_concurrent)| Cap { max_rps, max_concurrent }),
    ) -> Route {
        let shadow = (max_age % 5 == 0).then(|| Shadow { pool: "p".into(), percent: 0.01 + max_step / 2.0, methods: vec!["POST".into()], unsafe_methods: true, paths: vec![Pattern::Regex { regex: "^/a".into() }], deny_paths: Vec::new(), drop_headers: keys.clone(), headers: Fields::default(), host: Some("h".into()), max_in_flight: 1, max_rps: cap.max_rps, max_body: Size(max_age), max_bytes: Size(9), timeout: Duration::seconds(max_age), compare: if max_age % 2 == 0 { Compare::Plain(false) } else { Compare::Noise { noise: true } }, ignore: keys.clone(), record: Some("r".into()), record_size: Size(7), redact: keys.clone() });
        let sticky = Sticky { mode: StickyMode::Off, same_site: SameSite::Strict, max_age: Duration::seconds(max_age), keys, hold_up: Duration::seconds(max_age / 2), pin_for: Duration::seconds(max_age), ..Sticky::default() };
        let weights = indexed::Map(weights.into_iter().collect());
        let (stable, redirect, respond) = action;
        let (rewrite, headers) = rules;
        let guard = (max_age % 2 == 0).then(|| Guard { on_trip: OnTrip::Freeze, alpha: 0.01, errors: ErrorBound { ratio: 1.0 + max_step, margin: 0.5 }, ..Guard::default() });
        let ramp = (max_age % 3 == 0).then(|| Ramp { canary: Some("c".into()), steps: vec![Step { percent: 0.01 + max_step / 2.0, hold: Duration::seconds(max_age) }], auto: false, min_healthy: Amount::Count(2), probe: "https://www.example.com/healthz?deep=1".parse().unwrap(), hold_max: Duration::seconds(9), window: "Mon-Thu 10:00-17:00 Asia/Tokyo".parse().unwrap(), ..Ramp::default() });
        Route { name, matches, stable, redirect, respond, rewrite, headers, weights, cohort: "c".into(), failover: Failover::None, max_step, fallback, sticky, flags, cap, guard, ramp, shadow }
    }
}

prop_compose! {
    fn pool()(
        targets in option::of(vec((text(), option::of(1..=1000u32)), 0..3)),
        found in (option::of(text()), option::of(text()), option::of(text())),
        check in option::of((text(), 1..100u32, option::of(1..=u16::MAX))),
        tls in option::of((option::of(text()), any::<bool>())),
        rules in (headers(), cookies()),
        retries in 0..=10u8,
        idle in any::<u32>(),
        term in option::of(0u64..9).prop_map(|term| Term(term.map(Duration::seconds))),
    ) -> Pool {
        let target = |(address, weight)| match weight {
            Some(weight) => Target::Weighted { address, weight },
            None => Target::Address(address),
        };
        let check = check.map(|(path, threshold, port)| HealthCheck {
            protocol: HealthProtocol::Http, interval: Duration::seconds(1), timeout: Duration::seconds(1), healthy_threshold: threshold,
            unhealthy_threshold: threshold, status: None, body: Some(BodyMatch::Regex { regex: path.clone() }), host: Some(path.clone()),
            method: None, user_agent: None, grpc_service: None, grpc_status: None, port, tls: Some(true), path: Some(path),
        });
        Pool {
            targets: targets.map(|targets| targets.into_iter().map(target).collect()),
            dns: found.0, srv: found.1, file: found.2.map(Into::into), dns_refresh: Duration::seconds(7), balance: Balance::Random, http2: true,
            tls: tls.map(|(sni, verify)| PoolTls { sni, verify, ca: Some("ca.pem".into()) }),
            connect_timeout: Duration::seconds(1), response_timeout: Duration::seconds(61),
            idle_timeout: Duration(std::time::Duration::from_millis(idle.into())), upgraded_idle: Duration::seconds(3),
            request_timeout: Duration::seconds(9), evict_upgraded: term, max_requests: idle, max_requests_per_target: idle / 2, slow_start: Duration::default(), deregistration_delay: Duration::seconds(5), retries,
            retry_budget: RetryBudget { percent: retries.into(), min_per_second: 7 }, health_check: check,
            headers: rules.0, cookies: rules.1,
            ejection: Ejection { success_rate: (idle % 2 == 0).then(SuccessRate::default), ..Ejection::default() },
        }
    }
}

fn access_log(path: String) -> AccessLog {
    let rotate = Rotate {
        size: Some(Size::kib(64)),
        every: None,
        keep: 3,
    };
    AccessLog {
        path,
        format: LogFormat::Ltsv,
        on_full: OnFull::Block,
        rotate: Some(rotate),
    }
}

prop_compose! {
    fn any_config()(
        routes in vec(route(), 0..3),
        pools in prop::collection::hash_map(key(), pool(), 0..3),
        hosts in prop::collection::btree_map(key(), text(), 0..3),
        secret in option::of(text()),
        size in any::<u64>(),
        logs in vec(text(), 0..2),
    ) -> Config {
        let mut config = read(&[("k.toml", super::MINIMAL)]).unwrap();
        config.routes = routes.into_iter().map(Arc::new).collect();
        config.pools = indexed::Map(pools.into_iter().collect());
        config.partitions.hosts = hosts;
        config.server.secret = secret;
        config.server.limits.request_body = Size(size);
        config.access_log = logs.into_iter().map(access_log).collect();
        config
    }
}
