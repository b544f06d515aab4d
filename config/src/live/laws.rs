//! Laws of the live state, over random files and random changes.

use proptest::prelude::*;

use super::*;
use crate::model::Config;

/// Name, stable, weights in file order, `max_step`.
pub(super) type Written<'a> = (&'a str, &'a str, &'a [(&'a str, u32)], f64);

/// A file with these routes.
pub(super) fn file(routes: &[Written<'_>]) -> Config {
    let routes: Vec<_> = routes
        .iter()
        .map(|(name, stable, weights, max_step)| {
            let weights: serde_json::Map<_, _> = weights
                .iter()
                .map(|(pool, weight)| ((*pool).to_owned(), (*weight).into()))
                .collect();
            serde_json::json!({ "name": name, "stable": stable, "weights": weights, "max_step": max_step })
        })
        .collect();
    serde_json::from_value(serde_json::json!({ "version": 1, "routes": routes })).unwrap()
}

pub(super) fn weights(pairs: &[(&str, u32)]) -> Weights {
    pairs
        .iter()
        .map(|(pool, weight)| ((*pool).to_owned(), *weight))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Set(u32, u32, u32),
    Force(u32, u32, u32),
    Rollback,
    RollbackAll,
    Resume,
    Freeze,
    Reshuffle,
    Reload(u32, u32, u32),
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(1),
        0..=100u32,
        0..=1_000_000u32,
        Just(2_000_000)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (weight(), weight(), weight()).prop_map(|(a, b, c)| Step::Set(a, b, c)),
        (weight(), weight(), weight()).prop_map(|(a, b, c)| Step::Force(a, b, c)),
        Just(Step::Rollback),
        Just(Step::RollbackAll),
        Just(Step::Resume),
        Just(Step::Freeze),
        Just(Step::Reshuffle),
        (0..100u32, 0..100u32, 1..100u32).prop_map(|(a, b, c)| Step::Reload(a, b, c)),
    ]
}

fn three(ecs: u32, fargate: u32, ec2: u32) -> Weights {
    weights(&[("ecs", ecs), ("fargate", fargate), ("ec2", ec2)])
}

fn blogs(ecs: u32, fargate: u32, ec2: u32) -> Config {
    let block = [("ecs", ecs), ("fargate", fargate), ("ec2", ec2)];
    file(&[
        ("blogs", "ec2", &block, 0.0),
        ("images", "ec2", &[("ec2", 1)], 0.0),
    ])
}

fn take(live: &Live, config: &Config, step: &Step) -> Result<Change, Refusal> {
    let routes = Routes::of(config);
    match step {
        Step::Set(a, b, c) => set_weights(live, &routes, "blogs", &three(*a, *b, *c), Bounds::Kept),
        Step::Force(a, b, c) => set_weights(
            live,
            &routes,
            "blogs",
            &three(*a, *b, *c),
            Bounds::Overridden,
        ),
        Step::Rollback => rollback(live, &routes, Some("blogs")),
        Step::RollbackAll => rollback(live, &routes, None),
        Step::Resume => resume(live, &routes, "blogs"),
        Step::Freeze => freeze(live, &routes, "blogs"),
        Step::Reshuffle => reshuffle(live, &routes, "blogs", Bounds::Kept),
        Step::Reload(..) => Ok(reload(live, &routes)),
    }
}

fn ratio(live: &Live, pool: &str) -> f64 {
    Share::of(&live.routes["blogs"].weights, pool).ratio()
}

proptest! {
    #[test]
    fn a_mark_lets_no_canary_rise_without_force(steps in prop::collection::vec(step(), 1..40)) {
        let mut config = blogs(5, 0, 95);
        let mut live = fresh(&Routes::of(&config));
        for step in steps {
            if let Step::Reload(a, b, c) = step {
                config = blogs(a, b, c);
            }
            let Ok(change) = take(&live, &config, &step) else { continue };
            if live.routes["blogs"].state.holds() && !matches!(step, Step::Force(..)) {
                for pool in ["ecs", "fargate"] {
                    prop_assert!(ratio(&change.live, pool) <= ratio(&live, pool), "{step:?}");
                }
            }
            live = change.live;
        }
    }

    #[test]
    fn a_change_counts_one_and_no_change_counts_none(steps in prop::collection::vec(step(), 1..40)) {
        let mut config = blogs(5, 0, 95);
        let mut live = fresh(&Routes::of(&config));
        for step in steps {
            if let Step::Reload(a, b, c) = step {
                config = blogs(a, b, c);
            }
            let Ok(change) = take(&live, &config, &step) else { continue };
            let same = change.live.routes == live.routes && change.live.epochs == live.epochs;
            prop_assert_eq!(change.live.revision, live.revision + u64::from(!same));
            let mut replayed = live.clone();
            replayed.apply(change.live.revision, &live.delta(&change.live));
            prop_assert_eq!(&replayed, &change.live);
            live = change.live;
        }
    }

    #[test]
    fn whatever_is_reached_can_be_split_and_rolled_back_twice(steps in prop::collection::vec(step(), 1..40)) {
        let mut config = blogs(5, 0, 95);
        let mut live = fresh(&Routes::of(&config));
        for step in steps {
            if let Step::Reload(a, b, c) = step {
                config = blogs(a, b, c);
            }
            if let Ok(change) = take(&live, &config, &step) {
                live = change.live;
            }
            let routes = Routes::of(&config);
            let route = routes.get("blogs").unwrap();
            prop_assert!(
                share::divisible(route, &live.routes["blogs"].weights).is_ok()
                    || live.routes["blogs"].weights == block(route)
            );
            let once = rollback(&live, &routes, None).unwrap().live;
            prop_assert_eq!(ratio(&once, "ec2"), 1.0);
            prop_assert_eq!(&rollback(&once, &routes, None).unwrap().live, &once);
            prop_assert_eq!(&rollback(&once, &routes, Some("blogs")).unwrap().live, &once);
        }
    }

    #[test]
    fn targets_are_what_operators_said_of_them_whatever_else_happens(steps in prop::collection::vec(step(), 1..40)) {
        let mut config = blogs(5, 0, 95);
        let mut live = fresh(&Routes::of(&config));
        let edits = TargetEdits {
            registered: [("127.0.0.1:1".parse().unwrap(), 2)].into(),
            deregistered: ["[::1]:2".parse().unwrap()].into(),
        };
        live.targets.insert("ecs".into(), edits);
        let (start, mut earlier) = (live.clone(), Live::default());
        for step in steps {
            if let Step::Reload(a, b, c) = step {
                config = blogs(a, b, c);
            }
            if let Ok(change) = take(&live, &config, &step) {
                earlier = std::mem::replace(&mut live, change.live);
            }
            if let Ok(change) = restore(&live, &Routes::of(&config), &earlier, Bounds::Overridden) {
                live = change.live;
            }
            prop_assert_eq!(&live.targets, &start.targets);
        }
    }

    #[test]
    fn lowering_always_works(ecs in 1..=100u32, part in 0..100u32, max_step in 0..100u32) {
        let config = file(&[("blogs", "ec2", &[("ec2", 100 - ecs), ("ecs", ecs)], f64::from(max_step))]);
        let routes = Routes::of(&config);
        let frozen = freeze(&fresh(&routes), &routes, "blogs").unwrap().live;
        let lower = ecs * part / 100;
        let asked = weights(&[("ec2", 100 - lower), ("ecs", lower)]);
        prop_assert!(set_weights(&frozen, &routes, "blogs", &asked, Bounds::Kept).is_ok());
    }
}
