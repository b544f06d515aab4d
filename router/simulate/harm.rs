//! What goes wrong, and when: the harm of a scenario, turned on and off by the second.

use config::ids::{PoolId, RouteId};
use config::live;
use config::model;
use config::problem::{Fault, Path};
use config::scenario::{Harm, Scenario};
use config::snapshot::Structure;

use super::stage::Begun;

/// All harm of a scenario.
pub(super) struct Harms<'a> {
    all: Vec<Hits<'a>>,
    begin: u64,
}

/// Some harm, and whom it hits.
struct Hits<'a> {
    harm: &'a Harm,
    pools: Vec<PoolId>,
    is_on: bool,
}

impl<'a> Harms<'a> {
    /// That of `scenario` to the pools of `route`, none of which has begun.
    ///
    /// # Errors
    /// What the route does not have: a pool, or a probe.
    pub(super) fn new(
        scenario: &'a Scenario,
        structure: &Structure,
        route: RouteId,
        begin: u64,
    ) -> Result<Self, Fault> {
        let route = &structure.routes[route.0 as usize].settings;
        let all = scenario.harm.iter().enumerate().map(|(position, harm)| {
            let path = Path::default().key("harm").index(position);
            let hits = Hits::of(harm, route, structure);
            let hits = hits.ok_or_else(|| unknown(&path, harm, route))?;
            match harm.probe_fails {
                true => hits.probed(&path, route, structure),
                false => Ok(hits),
            }
        });
        Ok(Self {
            all: all.collect::<Result<_, _>>()?,
            begin,
        })
    }

    /// A second begins; what begins or ends with it.
    pub(super) fn turn(&mut self, now: u64, begun: &Begun) -> Vec<String> {
        let mut told = Vec::new();
        for hits in &mut self.all {
            let from = match hits.harm.step {
                None => Some(self.begin),
                Some(step) => begun.of(step),
            };
            let passed = from.and_then(|from| now.checked_sub(from + hits.harm.from.0.as_secs()));
            let lasts = hits.harm.lasts.0.as_secs();
            let is_on = passed.is_some_and(|passed| lasts == 0 || passed < lasts);
            if std::mem::replace(&mut hits.is_on, is_on) != is_on {
                let what = if is_on { "harm" } else { "end of harm" };
                told.push(format!("{what}: {}", words(hits.harm)));
            }
        }
        told
    }

    /// What goes wrong at `pool` now.
    pub(super) fn on(&self, pool: PoolId) -> impl Iterator<Item = &'a Harm> {
        let on = self.all.iter().filter(|hits| hits.is_on);
        let on = on.filter(move |hits| hits.pools.contains(&pool));
        on.map(|hits| hits.harm)
    }
}

impl<'a> Hits<'a> {
    /// `harm` to pools of `route`; `None` when the route has no such pool.
    fn of(harm: &'a Harm, route: &model::Route, structure: &Structure) -> Option<Self> {
        let id = |name: &str| structure.pool_named(name).map(|pool| pool.id);
        let stable = route.stable_pool();
        let pools: Vec<PoolId> = live::block(route)
            .keys()
            .filter(|name| match &*harm.pool {
                "all" => true,
                "canary" => *name != stable,
                "stable" => *name == stable,
                pool => *name == pool,
            })
            .filter_map(|name| id(name))
            .collect();
        // A route without a canary has none that could do harm, which is no mistake of the scenario.
        (harm.pool == "canary" || !pools.is_empty()).then_some(Self {
            harm,
            pools,
            is_on: false,
        })
    }

    /// The same, if it hits a pool that is asked by the probe of a ramp.
    fn probed(
        self,
        path: &Path,
        route: &model::Route,
        structure: &Structure,
    ) -> Result<Self, Fault> {
        let ramp = route.ramp.as_ref().filter(|ramp| !ramp.probe.is_none());
        let raised = ramp.and_then(|_| live::ramped(route)).ok_or_else(|| {
            let message = format!("route `{}` has no ramp with a probe", route.name);
            path.key("probe_fails").fault(message)
        })?;
        let asked = structure.pool_named(raised).map(|pool| pool.id);
        if asked.is_some_and(|asked| self.pools.contains(&asked)) {
            return Ok(self);
        }
        let message = format!(
            "the ramp of route `{}` raises `{raised}`, and asks no other pool",
            route.name
        );
        Err(path.key("probe_fails").fault(message))
    }
}

fn unknown(path: &Path, harm: &Harm, route: &model::Route) -> Fault {
    let known: Vec<String> = live::block(route).into_keys().collect();
    path.key("pool").fault(format!(
        "route `{}` has no pool `{}`; write `canary`, `stable`, `all` or one of {}",
        route.name,
        harm.pool,
        known.join(", ")
    ))
}

/// `canary fails 5 %`.
fn words(harm: &Harm) -> String {
    let part = |part: f64| format!("{} %", (part * 1e4).round() / 1e2);
    let mut words = Vec::new();
    if harm.down {
        words.push("has no healthy target".to_owned());
    }
    if harm.probe_fails {
        words.push("fails its probe".to_owned());
    }
    if harm.errors > 0.0 {
        words.push(format!("fails {}", part(harm.errors)));
    }
    if harm.client_errors > 0.0 {
        words.push(format!("answers 404 to {}", part(harm.client_errors)));
    }
    if harm.slower != 1.0 {
        words.push(format!("takes {} times as long", harm.slower));
    }
    let whose = match harm.clients {
        clients if clients < 1.0 => format!(" of {} of the clients", part(clients)),
        _ => String::new(),
    };
    format!("{} {}{whose}", harm.pool, words.join(", "))
}
