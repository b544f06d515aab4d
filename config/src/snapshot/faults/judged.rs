//! Guards and ramps that have nothing to compare, or nothing to raise.

use super::check_route;

#[test]
fn a_guard_needs_two_pools_with_clients() {
    let alone = (
        "routes[0].guard",
        "the route has no canary to guard; name one in `weights`, 0 is allowed",
    );
    check_route("guard = {}", &[alone]);
    check_route("weights = { ec2 = 1 }\nguard = {}", &[alone]);
    check_route("weights = { ec2 = 1, ecs = 0 }\nguard = {}", &[]);
    check_route(
        "weights = { ec2 = 0, ecs = 1 }\nguard = {}",
        &[(
            "routes[0].guard",
            "the stable pool `ec2` has weight 0, so there is nothing to compare a canary with",
        )],
    );
    for wrong in ["0s", "1500ms", "61s"] {
        check_route(
            &format!("weights = {{ ec2 = 1, ecs = 0 }}\nguard.hard_limit.window = '{wrong}'"),
            &[(
                "routes[0].guard.hard_limit.window",
                "must be whole seconds from 1s to 60s",
            )],
        );
    }
}

/// A ramp with `keys` in a route of ec2 and ecs.
#[track_caller]
fn check_ramp(keys: &str, expect: &[(&str, &str)]) {
    check_route(
        &format!("weights = {{ ec2 = 1, ecs = 0 }}\n[routes.ramp]\n{keys}"),
        expect,
    );
}

#[test]
fn a_ramp_rises_by_shares_that_are_held() {
    check_ramp(
        "steps = [{ percent = 0.01, hold = '1s' }, { percent = 100, hold = '7d' }]",
        &[],
    );
    check_ramp(
        "",
        &[(
            "routes[0].ramp.steps",
            "a ramp needs a step at least, as { percent = 1, hold = \"3d\" }",
        )],
    );
    check_ramp(
        "steps = [{ percent = 10, hold = '1d' }, { percent = 5, hold = '0s' }, { percent = 101, hold = '1d' }, { percent = 0.005, hold = '1d' }]",
        &[
            (
                "routes[0].ramp.steps[1].percent",
                "steps rise: 5 follows 10",
            ),
            (
                "routes[0].ramp.steps[1].hold",
                "must be a second at least: a step that is over at once is none",
            ),
            (
                "routes[0].ramp.steps[2].percent",
                "101 is not a share; allowed are 0.01 to 100 in steps of 0.01",
            ),
            (
                "routes[0].ramp.steps[3].percent",
                "0.005 is not a share; allowed are 0.01 to 100 in steps of 0.01",
            ),
        ],
    );
    check_route(
        "weights = { ec2 = 1, ecs = 0 }\nmax_step = 20\n[routes.ramp]\nsteps = [{ percent = 10, hold = '1d' }, { percent = 50, hold = '1d' }]",
        &[(
            "routes[0].ramp.steps[1].percent",
            "50 is more than max_step = 20 percent points above 10",
        )],
    );
}

#[test]
fn a_ramp_raises_a_canary_of_the_route() {
    let steps = "steps = [{ percent = 10, hold = '1d' }]";
    check_route(
        &format!("[routes.ramp]\n{steps}"),
        &[(
            "routes[0].ramp",
            "the route has no canary to raise; name one in `weights`, 0 is allowed",
        )],
    );
    check_ramp(&format!("canary = 'ecs'\n{steps}"), &[]);
    check_ramp(
        &format!("canary = 'ec2'\n{steps}"),
        &[(
            "routes[0].ramp.canary",
            "`ec2` is the stable pool; a ramp raises a canary",
        )],
    );
    check_ramp(
        &format!("canary = 'esc'\n{steps}"),
        &[(
            "routes[0].ramp.canary",
            "no canary of the route is called `esc`; did you mean `ecs`?",
        )],
    );
    check_route(
        &format!("weights = {{ ec2 = 1, ecs = 0, eks = 0 }}\n[routes.ramp]\n{steps}"),
        &[(
            "routes[0].ramp",
            "the route has several canaries (ecs, eks); say which one with `canary`",
        )],
    );
}
