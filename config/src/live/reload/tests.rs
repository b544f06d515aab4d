//! What files do to a live state, case by case.

use super::*;
use crate::live::laws::{file, weights};
use crate::live::{Bounds, Latch, resume, rollback, set_weights};
use crate::model::Config;

fn blogs(ec2: u32, ecs: u32) -> Config {
    file(&[("blogs", "ec2", &[("ec2", ec2), ("ecs", ecs)], 0.0)])
}

fn start() -> Live {
    fresh(&Routes::of(&blogs(95, 5)))
}

/// The route after the file became `config`.
fn after(live: &Live, config: &Config) -> Arc<LiveRoute> {
    reload(live, &Routes::of(config)).live.routes["blogs"].clone()
}

fn rolled_back() -> Live {
    rollback(&start(), &Routes::of(&blogs(95, 5)), None)
        .unwrap()
        .live
}

#[test]
fn an_unchanged_block_keeps_live_weights_and_says_so() {
    let config = blogs(95, 5);
    let routes = Routes::of(&config);
    let asked = weights(&[("ec2", 70), ("ecs", 30)]);
    let live = set_weights(&start(), &routes, "blogs", &asked, Bounds::Kept)
        .unwrap()
        .live;
    let change = reload(&live, &routes);
    assert_eq!(change.live, live);
    assert_eq!(
        change.notes,
        [
            "route `blogs`: the weights block is unchanged, live weights stay at ec2=70 ecs=30"
                .to_owned()
        ]
    );
}

#[test]
fn a_changed_block_wins_and_the_file_owns_the_weights_again() {
    let config = blogs(95, 5);
    let asked = weights(&[("ec2", 70), ("ecs", 30)]);
    let live = set_weights(
        &start(),
        &Routes::of(&config),
        "blogs",
        &asked,
        Bounds::Kept,
    )
    .unwrap()
    .live;
    let route = after(&live, &blogs(90, 10));
    assert_eq!(route.weights, weights(&[("ec2", 90), ("ecs", 10)]));
    assert_eq!(route.owner, Owner::File);
}

#[test]
fn a_changed_block_that_raises_a_latched_canary_is_held_until_resume() {
    let config = blogs(90, 10);
    let routes = Routes::of(&config);
    let held = reload(&rolled_back(), &routes);
    assert_eq!(held.live, rolled_back());
    assert_eq!(held.held[0].route, "blogs");
    assert_eq!(
        held.held[0].reason,
        "it is rolled_back and the changed weights block raises canary `ecs` from 0 % to 10 %; \
         `kanaria resume blogs` and reload again to apply it"
    );
    let resumed = resume(&held.live, &routes, "blogs").unwrap().live;
    let applied = reload(&resumed, &routes);
    assert!(applied.held.is_empty());
    assert_eq!(
        applied.live.routes["blogs"].weights,
        weights(&[("ec2", 90), ("ecs", 10)])
    );
}

#[test]
fn a_changed_block_that_lowers_a_latched_canary_is_applied_and_the_mark_stays() {
    let route = after(&rolled_back(), &blogs(1, 0));
    assert_eq!(route.weights, weights(&[("ec2", 1), ("ecs", 0)]));
    assert_eq!(route.state, Latch::RolledBack);
}

#[test]
fn a_changed_block_above_max_step_is_held() {
    let config = file(&[("blogs", "ec2", &[("ec2", 50), ("ecs", 50)], 20.0)]);
    let change = reload(&start(), &Routes::of(&config));
    assert_eq!(change.live, start());
    assert_eq!(
        change.held[0].reason,
        "the changed weights block raises canary `ecs` from 5 % to 50 %, more than max_step = 20 percent points; \
         take smaller steps"
    );
}

#[test]
fn a_new_route_starts_with_its_block_and_a_removed_one_is_forgotten() {
    let config = file(&[("shop", "ec2", &[("ec2", 9), ("ecs", 1)], 0.0)]);
    let live = reload(&start(), &Routes::of(&config)).live;
    assert_eq!(live.routes.keys().collect::<Vec<_>>(), ["shop"]);
    assert_eq!(
        live.routes["shop"].weights,
        weights(&[("ec2", 9), ("ecs", 1)])
    );
}

#[test]
fn a_latched_route_that_leaves_the_file_and_returns_is_still_latched() {
    let without = file(&[("shop", "ec2", &[("ec2", 1)], 0.0)]);
    let live = reload(&rolled_back(), &Routes::of(&without)).live;
    assert_eq!(after(&live, &blogs(95, 5)), rolled_back().routes["blogs"]);
}

#[test]
fn pools_that_change_under_a_mark_raise_nobody() {
    let config = file(&[(
        "blogs",
        "ec2",
        &[("ec2", 90), ("ecs", 5), ("fargate", 5)],
        0.0,
    )]);
    let route = after(&rolled_back(), &config);
    assert_eq!(
        route.weights,
        weights(&[("ec2", 100), ("ecs", 0), ("fargate", 0)])
    );
    assert_eq!(route.block, start().routes["blogs"].block);
}

#[test]
fn a_canary_that_leaves_gives_its_share_to_stable_when_the_rest_is_held() {
    let three = file(&[("blogs", "ec2", &[("ec2", 50), ("a", 25), ("b", 25)], 0.0)]);
    let live = fresh(&Routes::of(&three));
    let frozen = crate::live::freeze(&live, &Routes::of(&three), "blogs")
        .unwrap()
        .live;
    let two = file(&[("blogs", "ec2", &[("ec2", 10), ("a", 90)], 0.0)]);
    assert_eq!(
        after(&frozen, &two).weights,
        weights(&[("ec2", 100), ("a", 0)])
    );
}

#[test]
fn what_cannot_be_known_starts_at_stable_and_latched() {
    let config = file(&[
        ("blogs", "ec2", &[("ec2", 95), ("ecs", 5)], 0.0),
        ("images", "ec2", &[("ec2", 1)], 0.0),
    ]);
    let live = all_stable(&Routes::of(&config), 41);
    assert_eq!(live.revision, 42);
    assert_eq!(
        live.routes["blogs"].weights,
        weights(&[("ec2", 100), ("ecs", 0)])
    );
    assert_eq!(live.routes["blogs"].state, Latch::RolledBack);
    assert_eq!(live.routes["images"].state, Latch::Normal);
}
