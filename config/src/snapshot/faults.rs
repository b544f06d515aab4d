//! Everything that is wrong with a file's routing is said at its key.

use super::*;
use crate::problem::Path;
use crate::testing::structure;

/// The path without quotes: which keys are shown in quotes is not settled here.
fn shown(path: &Path) -> String {
    path.to_string().replace('"', "")
}

#[track_caller]
fn check(routes: &str, expect: &[(&str, &str)]) {
    let faults = structure(routes).err().unwrap_or_default();
    let told = faults
        .iter()
        .map(|fault| (shown(&fault.path), &*fault.message));
    let told: Vec<_> = told.collect();
    let told: Vec<_> = told
        .iter()
        .map(|(path, message)| (&**path, *message))
        .collect();
    assert_eq!(told, expect, "{routes}");
}

/// One route `r` to `ec2` with `keys` besides.
#[track_caller]
fn check_route(keys: &str, expect: &[(&str, &str)]) {
    check(
        &format!("[[routes]]\nname = 'r'\nstable = 'ec2'\n{keys}"),
        expect,
    );
}

#[test]
fn names_of_routes_are_unique_and_plain() {
    let route = |name: &str| format!("[[routes]]\nname = '{name}'\nstable = 'ec2'\n");
    check(&route("web-1_a.B"), &[]);
    check(
        &route(""),
        &[("routes[0].name", "the name of a route is empty")],
    );
    check(
        &route("a b"),
        &[(
            "routes[0].name",
            "`a b` is no name of a route; allowed are letters, digits, `_`, `.` and `-`",
        )],
    );
    check(
        &[route("a"), route("b"), route("a")].concat(),
        &[("routes[2].name", "`a` is the name of routes[0] already")],
    );
    check_route(
        "cohort = ''",
        &[("routes[0].cohort", "the name of a cohort is empty")],
    );
}

#[test]
fn pools_are_known_and_stable_has_a_weight() {
    check(
        "[[routes]]\nname = 'r'\nstable = 'ec3'",
        &[(
            "routes[0].stable",
            "no pool is called `ec3`; did you mean `ec2`?",
        )],
    );
    check(
        "[[routes]]\nname = 'r'\nstable = 'production'",
        &[(
            "routes[0].stable",
            "no pool is called `production`; known are `ec2`, `ecs`, `eks`",
        )],
    );
    check_route(
        "weights = { ec2 = 1, esc = 2, fargate = 3 }",
        &[
            (
                "routes[0].weights.esc",
                "no pool is called `esc`; did you mean `ecs`?",
            ),
            (
                "routes[0].weights.fargate",
                "no pool is called `fargate`; known are `ec2`, `ecs`, `eks`",
            ),
        ],
    );
    check_route(
        "weights = { ecs = 1 }",
        &[(
            "routes[0].stable",
            "the stable pool `ec2` has no weight; name it in `weights`, 0 is allowed",
        )],
    );
}

#[test]
fn weights_can_be_carried_out() {
    check_route("weights = { ec2 = 0, ecs = 1 }", &[]);
    check_route(
        "weights = { ec2 = 0, ecs = 0 }",
        &[(
            "routes[0].weights",
            "all weights are 0; at least one pool must get traffic",
        )],
    );
    check_route(
        "weights = { ec2 = 1000001, ecs = 1 }",
        &[(
            "routes[0].weights.ec2",
            "weight 1000001 is too large; allowed are 0 to 1000000",
        )],
    );
    check_route(
        "weights = { ec2 = 99999, ecs = 1 }",
        &[(
            "routes[0].weights.ecs",
            "weight 1 of 100000 is below the finest step of 0.01 %; write 0, or at least 11",
        )],
    );
    for (bad, told) in [
        ("-1.0", "-1"),
        ("100.5", "100.5"),
        ("nan", "NaN"),
        ("inf", "inf"),
    ] {
        let message = format!("max_step {told} is not a number of percent points from 0 to 100");
        check_route(
            &format!("max_step = {bad}"),
            &[("routes[0].max_step", &message)],
        );
    }
    check_route("max_step = 100.0", &[]);
}

#[test]
fn a_cap_needs_a_canary() {
    let fault = (
        "routes[0].cap",
        "the route has no canary to bound; name one in `weights`, 0 is allowed",
    );
    check_route("cap.max_rps = 5", &[fault]);
    check_route("weights = { ec2 = 1 }\ncap.max_concurrent = 5", &[fault]);
    check_route("cap.max_rps = 0", &[]);
    check_route("weights = { ec2 = 1, ecs = 0 }\ncap.max_rps = 5", &[]);
}

#[test]
fn matches_name_what_exists() {
    check_route(
        "match = { partition = ['blog', 'main'], listener = 'outer', host = [] }",
        &[
            (
                "routes[0].match.partition[0]",
                "no partition is called `blog`; did you mean `blogs`?",
            ),
            (
                "routes[0].match.listener",
                "no listener is called `outer`; known are `public`, `inner`",
            ),
            (
                "routes[0].match.host",
                "the list is empty; at least one value is needed",
            ),
        ],
    );
}

#[test]
fn values_of_matches_can_match() {
    let empty = "the text is empty; `*` matches any text, also none";
    for (matches, path, message) in [
        (
            "host = 'a:80'",
            "host",
            "`a:80` names a port; hosts are compared without it",
        ),
        (
            "host = 'a.'",
            "host",
            "`a.` ends with a dot; hosts are compared without it",
        ),
        (
            "host = ['a', 'b c']",
            "host[1]",
            "`b c` is not a host; allowed are letters, digits, `-`, `.`, `_`, `*` and `?`; other names in their `xn--` form",
        ),
        (
            "host = '[::1]:80'",
            "host",
            "`[::1]:80` is not an IPv6 address in brackets, without port",
        ),
        ("host = ''", "host", empty),
        (
            "host = { regex = '(' }",
            "host",
            "`(` is not a regular expression: unclosed group",
        ),
        (
            "path = 'x'",
            "path",
            "`x` matches no path; a path starts with `/`",
        ),
        ("path = ['/', '']", "path[1]", empty),
        (
            "path = '/a/../b'",
            "path",
            "`/a/../b` has a segment `.` or `..`; paths are compared without them",
        ),
        (
            "path = '/a%2Fb'",
            "path",
            "`/a%2Fb` has an encoded separator; servers differ in what it separates, so no route tells it apart",
        ),
        (
            "path = '/%0a'",
            "path",
            "`/%0a` has a control character, which is never compared",
        ),
        (
            "method = 'get'",
            "method",
            "`get` is not a method; allowed are A-Z, `-` and `_`, compared exactly",
        ),
        (
            "method = ''",
            "method",
            "`` is not a method; allowed are A-Z, `-` and `_`, compared exactly",
        ),
        (
            "header.'a b' = 'x'",
            "header.a b",
            "`a b` is not a header name",
        ),
        (
            "header.Host = 'x'",
            "header.Host",
            "the host is matched by `host`, not by `header`",
        ),
        ("header.x-a = ''", "header.x-a", empty),
        (
            "header.x-a = ['y', { regex = '[' }]",
            "header.x-a[1]",
            "`[` is not a regular expression: unclosed character class",
        ),
        (
            "header.X-Blog-Domain-Partition = 'x'",
            "header.X-Blog-Domain-Partition",
            "a client's own copy of this header is not believed; match `partition`",
        ),
        (
            "cookie.'a=b' = 'x'",
            "cookie.a=b",
            "`a=b` is not a cookie name; allowed are letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "cookie.a = []",
            "cookie.a",
            "the list is empty; at least one value is needed",
        ),
        ("query.a = ''", "query.a", empty),
        (
            "query.a = '\\'",
            "query.a",
            "the text has a `\\` that escapes nothing; write `\\*`, `\\?` or `\\\\`",
        ),
        (
            "query.'' = 'x'",
            "query.",
            "in the parameter's name the text is empty; `*` matches any text, also none",
        ),
        (
            "query = []",
            "query",
            "the list is empty; at least one value is needed",
        ),
        (
            "query = [{ key = 'k', value = '' }]",
            "query[0].value",
            empty,
        ),
        ("query = [{ key = '', value = 'x' }]", "query[0].key", empty),
    ] {
        let path = format!("routes[0].match.{path}");
        check_route(&format!("match = {{ {matches} }}"), &[(&path, message)]);
    }
}

#[test]
fn flags_can_be_carried() {
    let flag = "name = 'f', cookie = 'c', value = 'v', pool = 'ecs'";
    check_route(&format!("flags = [{{ {flag} }}]"), &[]);
    for (part, other, path, message) in [
        (
            "cookie = 'c', ",
            "",
            "",
            "a flag needs either `cookie` or `header` to be carried by",
        ),
        (
            "cookie = 'c'",
            "cookie = 'c', header = 'h'",
            "",
            "a flag is carried by `cookie` or by `header`, not by both",
        ),
        (
            "cookie = 'c'",
            "cookie = 'kanaria'",
            ".cookie",
            "`kanaria` is the cookie of `sticky` already",
        ),
        (
            "cookie = 'c'",
            "cookie = ' c'",
            ".cookie",
            "` c` is not a cookie name; allowed are letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "cookie = 'c'",
            "header = 'h:'",
            ".header",
            "`h:` is not a header name",
        ),
        ("'v'", "''", ".value", "the value of a flag is empty"),
        (
            "'v'",
            "' v'",
            ".value",
            "a flag's value has no control characters, and no spaces around it",
        ),
        ("'v'", "'v;w'", ".value", "a cookie's value has no `;`"),
        (
            "'ecs'",
            "'esc'",
            ".pool",
            "no pool is called `esc`; did you mean `ecs`?",
        ),
        ("'f'", "''", ".name", "the name of a flag is empty"),
        (
            "value = 'v'",
            "signed = true, value = 'v'",
            "",
            "a flag has a `value` or is `signed`, not both",
        ),
        (
            "value = 'v', ",
            "",
            "",
            "a flag needs a `value`, or `signed = true` for values of `kanaria flag mint`",
        ),
        (
            "value = 'v'",
            "value = 'v', favicon = 'a.exe'",
            ".favicon",
            "a favicon is a file whose name ends in .ico, .png, .svg or .gif",
        ),
    ] {
        let path = format!("routes[0].flags[0]{path}");
        let flag = flag.replace(part, other);
        check_route(&format!("flags = [{{ {flag} }}]"), &[(&path, message)]);
    }
    check_route(
        &format!("flags = [{{ {flag} }}, {{ {flag} }}]"),
        &[(
            "routes[0].flags[1].name",
            "`f` is the name of a flag above already",
        )],
    );
}

#[test]
fn partitions_name_hosts() {
    let taken = "`a.example` is given twice; hosts are compared in lower case";
    for (hosts, path, message) in [
        ("'A.example' = 'x'\n'a.example' = 'y'", "a.example", taken),
        (
            "'a.*.b' = 'x'",
            "a.*.b",
            "`a.*.b` is not a host or `*.` before a host; no other wildcard is allowed",
        ),
        (
            "'*' = 'x'",
            "*",
            "`*` is not a host or `*.` before a host; no other wildcard is allowed",
        ),
        ("'*.' = 'x'", "*.", "`*.` names no host"),
        (
            "'a:80' = 'x'",
            "a:80",
            "`a:80` names a port; hosts are compared without it",
        ),
        (
            "'b.example' = 'x y'",
            "b.example",
            "`x y` is no name of a partition; allowed are letters, digits, `_`, `.` and `-`",
        ),
        (
            "'b.example' = ''",
            "b.example",
            "the name of a partition is empty",
        ),
    ] {
        let path = format!("partitions.hosts.{path}");
        check(hosts, &[(&path, message)]);
    }
    check("[partitions]", &[]);
}

#[test]
fn partition_header_is_a_header_name() {
    let mut config = crate::testing::config("");
    config.partitions.header = "X Y".into();
    config.partitions.default = String::new();
    let faults = Structure::compile(&config).unwrap_err();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| format!("{}: {}", shown(&fault.path), fault.message))
        .collect();
    assert_eq!(
        told,
        [
            "partitions.header: `X Y` is not a header name",
            "partitions.default: the name of a partition is empty"
        ]
    );
}

#[test]
fn all_faults_are_said_at_once() {
    let routes = "[[routes]]\nname = ''\nstable = 'x'\nmatch = { path = '' }\nflags = [{ name = 'f', value = '', pool = 'ecs' }]\n[[routes]]\nname = 'b'\nstable = 'ec2'\nweights = { ec2 = 0 }";
    let faults = structure(routes).unwrap_err();
    let paths: Vec<_> = faults.iter().map(|fault| shown(&fault.path)).collect();
    assert_eq!(
        paths,
        [
            "routes[0].name",
            "routes[0].match.path",
            "routes[0].flags[0]",
            "routes[0].flags[0].value",
            "routes[0].stable",
            "routes[1].weights",
        ]
    );
}

mod judged;
mod shadows;
mod sticky;
