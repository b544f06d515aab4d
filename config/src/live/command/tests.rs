//! Tables of changes that are taken and refused.

use super::*;
use crate::live::laws::{file, weights};
use crate::live::{fresh, reload};
use crate::model::Config;

fn blogs() -> Config {
    file(&[
        ("blogs", "ec2", &[("ec2", 95), ("ecs", 5)], 10.0),
        ("images", "ec2", &[("ec2", 1)], 0.0),
    ])
}

/// Asks for weights of `blogs` and compares the refusal's text.
#[track_caller]
fn refused(live: &Live, asked: &[(&str, u32)], expected: &str) {
    let config = blogs();
    let answer = set_weights(
        live,
        &Routes::of(&config),
        "blogs",
        &weights(asked),
        Bounds::Kept,
    );
    assert_eq!(answer.unwrap_err().to_string(), expected);
}

fn start() -> Live {
    fresh(&Routes::of(&blogs()))
}

fn rolled_back() -> Live {
    rollback(&start(), &Routes::of(&blogs()), None)
        .unwrap()
        .live
}

#[test]
fn bad_weights_are_refused_by_name() {
    let live = start();
    refused(
        &live,
        &[("ec2", 0), ("ecs", 0)],
        "weights are all 0; at least one pool needs a weight above 0",
    );
    refused(
        &live,
        &[("ec2", 1)],
        "weights must name every pool of route `blogs` (ec2, ecs) and no other, missing ecs",
    );
    refused(
        &live,
        &[("ec2", 1), ("esc", 1)],
        "weights must name every pool of route `blogs` (ec2, ecs) and no other, missing ecs, unknown esc",
    );
    refused(
        &live,
        &[("ec2", 1), ("ecs", 1_000_001)],
        "weight 1000001 of pool `ecs` is too large; allowed are 0 to 1000000",
    );
    refused(
        &live,
        &[("ec2", 1_000_000), ("ecs", 1)],
        "weight 1 of pool `ecs` is less than 0.01 % of all and gets no user; raise it, or make it 0",
    );
}

#[test]
fn a_rise_above_max_step_is_refused_and_one_of_max_step_is_not() {
    refused(
        &start(),
        &[("ec2", 84), ("ecs", 16)],
        "route `blogs`: canary `ecs` would rise from 5 % to 16 %, more than max_step = 10 percent points; \
         take smaller steps, or `force` it",
    );
    let (config, asked) = (blogs(), weights(&[("ec2", 85), ("ecs", 15)]));
    let change = set_weights(
        &start(),
        &Routes::of(&config),
        "blogs",
        &asked,
        Bounds::Kept,
    );
    assert_eq!(change.unwrap().live.routes["blogs"].weights, asked);
}

#[test]
fn a_rolled_back_route_rises_only_after_resume_or_by_force() {
    let (config, asked) = (blogs(), weights(&[("ec2", 99), ("ecs", 1)]));
    let routes = Routes::of(&config);
    refused(
        &rolled_back(),
        &[("ec2", 99), ("ecs", 1)],
        "route `blogs` is rolled_back: canary `ecs` may not rise from 0 % to 1 %; \
         `kanaria resume blogs` lifts the mark, `force` overrides it once",
    );
    let forced = set_weights(&rolled_back(), &routes, "blogs", &asked, Bounds::Overridden)
        .unwrap()
        .live;
    assert_eq!(forced.routes["blogs"].weights, asked);
    assert_eq!(forced.routes["blogs"].state, Latch::RolledBack);

    let resumed = resume(&rolled_back(), &routes, "blogs").unwrap().live;
    assert_eq!(
        resumed.routes["blogs"].weights,
        rolled_back().routes["blogs"].weights
    );
    assert!(set_weights(&resumed, &routes, "blogs", &asked, Bounds::Kept).is_ok());
}

#[test]
fn a_rollback_takes_every_canary_back_and_marks_only_routes_that_have_one() {
    let live = rolled_back();
    assert_eq!(live.revision, 2);
    assert_eq!(
        live.routes["blogs"].weights,
        weights(&[("ec2", 100), ("ecs", 0)])
    );
    assert_eq!(live.routes["blogs"].state, Latch::RolledBack);
    assert_eq!(live.routes["images"], start().routes["images"]);
}

#[test]
fn an_unknown_route_is_refused_with_the_names_there_are() {
    let config = blogs();
    let refusal = rollback(&start(), &Routes::of(&config), Some("blog")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "route `blog` does not exist; routes are blogs, images"
    );
}

#[test]
fn the_same_weights_again_are_no_change() {
    let (config, live) = (blogs(), start());
    let asked = live.routes["blogs"].weights.clone();
    let change = set_weights(&live, &Routes::of(&config), "blogs", &asked, Bounds::Kept).unwrap();
    assert_eq!(change.live, live);
    assert_eq!(
        change.notes,
        ["route `blogs` has these weights already".to_owned()]
    );
}

#[test]
fn a_cohort_is_reshuffled_only_without_users_on_a_canary() {
    let config = blogs();
    let routes = Routes::of(&config);
    let refusal = reshuffle(&start(), &routes, "images", Bounds::Kept).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "cohort `default` cannot be reshuffled: route `blogs` has canary `ecs` at 5 %; \
         roll it back first, or `force` it"
    );
    let twice = |live: &Live, bounds| reshuffle(live, &routes, "blogs", bounds).unwrap().live;
    let live = twice(&twice(&rolled_back(), Bounds::Kept), Bounds::Kept);
    assert_eq!(live.epochs["default"], 2);
    assert_eq!(twice(&start(), Bounds::Overridden).epochs["default"], 1);
}

#[test]
fn restore_brings_weights_back_and_never_lifts_a_mark() {
    let config = blogs();
    let routes = Routes::of(&config);
    let refusal = restore(&rolled_back(), &routes, &start(), Bounds::Kept).unwrap_err();
    assert!(matches!(refusal, Refusal::Latched { .. }), "{refusal}");

    let forced = restore(&rolled_back(), &routes, &start(), Bounds::Overridden)
        .unwrap()
        .live;
    assert_eq!(
        forced.routes["blogs"].weights,
        start().routes["blogs"].weights
    );
    assert_eq!(forced.routes["blogs"].state, Latch::RolledBack);

    let back = restore(&start(), &routes, &rolled_back(), Bounds::Kept)
        .unwrap()
        .live;
    assert_eq!(
        back.routes["blogs"].weights,
        rolled_back().routes["blogs"].weights
    );
    assert_eq!(back.routes["blogs"].state, Latch::RolledBack);
}

#[test]
fn restore_leaves_routes_alone_whose_pools_changed() {
    let earlier = start();
    let now = file(&[
        ("blogs", "ec2", &[("ec2", 95), ("fargate", 5)], 0.0),
        ("images", "ec2", &[("ec2", 1)], 0.0),
    ]);
    let routes = Routes::of(&now);
    let live = reload(&earlier, &routes).live;
    let change = restore(&live, &routes, &earlier, Bounds::Kept).unwrap();
    assert_eq!(change.live, live);
    assert_eq!(
        change.notes,
        ["route `blogs` is left alone: at revision 1 it had other pools".to_owned()]
    );
    let other = file(&[("shop", "ec2", &[("ec2", 1)], 0.0)]);
    let routes = Routes::of(&other);
    let refusal = restore(&fresh(&routes), &routes, &earlier, Bounds::Kept).unwrap_err();
    assert_eq!(refusal, Refusal::NothingToRestore { revision: 1 });
}
