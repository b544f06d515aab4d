//! What is refused of stickiness and pins.

use super::{check, check_route};

#[test]
fn stickiness_makes_sense() {
    for (sticky, path, message) in [
        (
            "cookie = ''",
            "cookie",
            "`` is not a cookie name; allowed are letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "cookie = 'a;b'",
            "cookie",
            "`a;b` is not a cookie name; allowed are letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "max_age = '0'",
            "max_age",
            "max_age 0s is no time; at least 1s is needed",
        ),
        (
            "keys = ['ip', 'user']",
            "keys[1]",
            "`user` is not a key; write `header:NAME`, `cookie:NAME` or `ip`",
        ),
        ("keys = ['header:']", "keys[0]", "`` is not a header name"),
        (
            "keys = ['ip:1']",
            "keys[0]",
            "`ip:1` is not a key; write `header:NAME`, `cookie:NAME` or `ip`",
        ),
        (
            "keys = ['cookie:kanaria']",
            "keys[0]",
            "`kanaria` is our own cookie, which comes first in any case",
        ),
        (
            "mode = 'off', keys = ['ip']",
            "keys",
            "with mode `off` nobody keeps a place; keys belong to mode `bucket`",
        ),
        (
            "mode = 'pin', keys = ['ip']",
            "keys",
            "who is known by a key gets no cookie, so no pin either; keys belong to mode `bucket`",
        ),
        (
            "mode = 'pin', pin_for = '999ms'",
            "pin_for",
            "pin_for 999ms is no time; at least 1s is needed",
        ),
        (
            "mode = 'pin', hold_up = '1m'",
            "hold_up",
            "mode `pin` holds clients for `pin_for` already; hold_up belongs to mode `bucket`",
        ),
        (
            "mode = 'off', hold_up = '1m'",
            "hold_up",
            "with mode `off` nobody keeps a pool; hold_up belongs to mode `bucket`",
        ),
        (
            "hold_up = '10ms'",
            "hold_up",
            "hold_up 10ms is too short; allowed are 0 and from 1s",
        ),
    ] {
        let path = format!("routes[0].sticky.{path}");
        check_route(&format!("sticky = {{ {sticky} }}"), &[(&path, message)]);
    }
    check_route("sticky = { mode = 'off' }", &[]);
    check_route("sticky = { mode = 'pin', pin_for = '1s' }", &[]);
    check_route("sticky = { hold_up = '1s', keys = ['ip'] }", &[]);
    check_route(
        "sticky = { same_site = 'none', cookie = '__Host-k', keys = ['ip'] }",
        &[],
    );
}

#[test]
fn routes_that_share_pins_have_the_same_pools() {
    let route = |name: &str, pools: &str, more: &str| {
        format!(
            "[[routes]]\nname = '{name}'\nmatch = {{ path = '/{name}' }}\nstable = 'ec2'\nweights = {{ {pools} }}\nsticky.mode = 'pin'\n{more}\n"
        )
    };
    let a = route("a", "ec2 = 1, ecs = 1", "");
    check(&[&*a, &route("b", "ecs = 2, ec2 = 2", "")].concat(), &[]);
    check(
        &[&*a, &route("b", "eks = 1, ec2 = 1", "cohort = 'b'")].concat(),
        &[],
    );
    let message = "it shares the pins of route `a` in the cookie `kanaria-pin`, which has other pools; give it a cohort of its own";
    check(
        &[&*a, &route("b", "eks = 1, ec2 = 1", "")].concat(),
        &[("routes[1].cohort", message)],
    );
}
