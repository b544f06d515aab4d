//! Shadow pools that would get nothing, or what they must not have.

use super::check_route;

/// A shadow table of `keys` in a route of ec2 and ecs.
#[track_caller]
fn check_shadow(keys: &str, expect: &[(&str, &str)]) {
    check_route(
        &format!("weights = {{ ec2 = 1, ecs = 0 }}\n[routes.shadow]\n{keys}"),
        expect,
    );
}

#[test]
fn a_shadow_pool_is_known_and_not_the_only_pool() {
    check_shadow("pool = 'ecs'", &[]);
    check_shadow("pool = 'eks'", &[]);
    // Which of two pools serves is decided request by request.
    check_shadow("pool = 'ec2'", &[]);
    check_shadow(
        "pool = 'esc'",
        &[(
            "routes[0].shadow.pool",
            "no pool is called `esc`; did you mean `ecs`?",
        )],
    );
    let only = [(
        "routes[0].shadow.pool",
        "`ec2` is the route's only pool, which serves every request itself; name another one",
    )];
    check_route("shadow.pool = 'ec2'", &only);
    check_route("weights = { ec2 = 1 }\nshadow.pool = 'ec2'", &only);
    check_route("shadow.pool = 'ecs'", &[]);
}

#[test]
fn shares_are_of_the_grain_of_buckets() {
    for percent in ["0.01", "33.33", "100"] {
        check_shadow(&format!("pool = 'ecs'\npercent = {percent}"), &[]);
    }
    for percent in ["0", "0.005", "100.01", "101", "-1"] {
        let message = format!("{percent} is not a share; allowed are 0.01 to 100 in steps of 0.01");
        check_shadow(
            &format!("pool = 'ecs'\npercent = {percent}"),
            &[("routes[0].shadow.percent", &message)],
        );
    }
}

#[test]
fn methods_that_change_something_are_asked_for_twice() {
    check_shadow(
        "pool = 'ecs'\nmethods = ['GET', 'POST', 'get']",
        &[
            (
                "routes[0].shadow.methods[1]",
                "`POST` may change something, and a copy changes it twice; `unsafe_methods = true` lets it be copied",
            ),
            (
                "routes[0].shadow.methods[2]",
                "`get` is not a method; allowed are A-Z, `-` and `_`, compared exactly",
            ),
        ],
    );
    check_shadow(
        "pool = 'ecs'\nmethods = ['GET', 'POST']\nunsafe_methods = true",
        &[],
    );
    check_shadow(
        "pool = 'ecs'\nmethods = []",
        &[(
            "routes[0].shadow.methods",
            "the list is empty; at least one value is needed",
        )],
    );
}

#[test]
fn paths_and_fields_are_what_requests_can_have() {
    check_shadow(
        "pool = 'ecs'\npaths = ['shop']\ndeny_paths = ['/a/../b', { regex = '(' }]",
        &[
            (
                "routes[0].shadow.paths[0]",
                "`shop` matches no path; a path starts with `/`",
            ),
            (
                "routes[0].shadow.deny_paths[0]",
                "`/a/../b` has a segment `.` or `..`; paths are compared without them",
            ),
            (
                "routes[0].shadow.deny_paths[1]",
                "`(` is not a regular expression: unclosed group",
            ),
        ],
    );
    check_shadow(
        "pool = 'ecs'\npaths = []\ndrop_headers = ['Host', 'X-Kanaria-Shadow', 'a b']\nhost = 'a b'\nheaders.set = { Host = 'x', Connection = 'close', Cookie = 'a=b' }",
        &[
            (
                "routes[0].shadow.paths",
                "the list is empty; at least one value is needed",
            ),
            (
                "routes[0].shadow.drop_headers[0]",
                "every request has a `Host`; `host` changes it",
            ),
            (
                "routes[0].shadow.drop_headers[1]",
                "`x-kanaria-shadow` is what tells a copy from a request",
            ),
            (
                "routes[0].shadow.drop_headers[2]",
                "`a b` is not a header name",
            ),
            (
                "routes[0].shadow.headers.set.Connection",
                "`connection` belongs to the connection or to the framing of a message, which no rule may change",
            ),
            (
                "routes[0].shadow.headers.set.Host",
                "`host` is not for a rule: `shadow.host` changes it",
            ),
            (
                "routes[0].shadow.host",
                "\"a b\" has characters that an address cannot have; write them percent-encoded",
            ),
        ],
    );
}

#[test]
fn what_is_ignored_is_something_that_answers_differ_in() {
    check_shadow(
        "pool = 'ecs'\ncompare = { noise = true }\nignore = ['status', 'header:X-*', 'cookie:sess', 'json:$.a[*].b', 'html:text', 'body']",
        &[],
    );
    for wrong in ["date", "header:", "json:a", "html", ""] {
        let message = format!(
            "`{wrong}` is nothing that answers differ in; write `status`, `header:NAME`, `cookie:NAME`, `json:$.PATH`, `html:text`, `html:tags`, `body` or `body:type`"
        );
        check_shadow(
            &format!("pool = 'ecs'\ncompare = false\nignore = ['{wrong}']"),
            &[("routes[0].shadow.ignore[0]", &message)],
        );
    }
}

#[test]
fn what_is_left_out_of_a_record_is_a_field_or_a_parameter() {
    check_shadow(
        "pool = 'ecs'\nrecord = 'a'\nredact = ['query:token', 'header:X-Api-Key']",
        &[],
    );
    check_shadow(
        "pool = 'ecs'\nrecord = 'a'\nredact = ['token', 'header:a b']",
        &[
            (
                "routes[0].shadow.redact[0]",
                "`token` is nothing to leave out; write `header:NAME` or `query:NAME`",
            ),
            (
                "routes[0].shadow.redact[1]",
                "`header:a b` is nothing to leave out; write `header:NAME` or `query:NAME`",
            ),
        ],
    );
    check_shadow(
        "pool = 'ecs'\nredact = ['query:token']",
        &[(
            "routes[0].shadow.redact",
            "nothing is written down without `record`",
        )],
    );
}

#[test]
fn bounds_leave_room_for_a_copy() {
    check_shadow(
        "pool = 'ecs'\nmax_in_flight = 0\nmax_rps = 1000001\ntimeout = '0s'\nmax_body = '1MiB'\nmax_bytes = '1MiB'",
        &[
            (
                "routes[0].shadow.max_in_flight",
                "must be from 1 to 10000, found 0",
            ),
            (
                "routes[0].shadow.max_rps",
                "must be from 0 to 1000000, found 1000001",
            ),
            ("routes[0].shadow.timeout", "0s is no time for an answer"),
            (
                "routes[0].shadow.max_bytes",
                "must be more than `max_body`, or the largest copy would never be made",
            ),
        ],
    );
}

#[test]
fn a_route_without_pools_has_nothing_to_copy() {
    super::check(
        "[[routes]]\nname = 'r'\nredirect = { host = 'a.test' }\nshadow.pool = 'ecs'",
        &[(
            "routes[0].shadow",
            "is about pools, and a route with `redirect` has none",
        )],
    );
}
