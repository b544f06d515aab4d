//! One route as written to one route as used: its action, pools, weights, stickiness and flags.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::names::{self, Faults, Names};
use super::{Route, actions, conditions, flags, guards, pins, ramps, rules, shadows, structure};
use crate::action::{Action, Forward};
use crate::decide::Key;
use crate::fields::Headers;
use crate::flag::{Carrier, Flag};
use crate::ids::{CohortId, PoolId, RouteId};
use crate::model::{self, Config, StickyMode};
use crate::partition::Partitions;
use crate::pin::Pinning;
use crate::problem::Trail;
use crate::shadow::Shadow;
use crate::split::Split;
use crate::units::Duration;

/// What the routes of a file may refer to.
pub(super) struct Scope<'a> {
    pub(super) listeners: Names<'a>,
    pub(super) partitions: &'a Partitions,
    pools: Names<'a>,
    routes: HashMap<&'a str, usize>,
    cohorts: Vec<Arc<str>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(config: &'a Config, partitions: &'a Partitions) -> Self {
        Self {
            listeners: structure::listener_names(config),
            partitions,
            pools: structure::pool_names(config),
            routes: HashMap::new(),
            cohorts: Vec::new(),
        }
    }

    pub(super) fn cohorts(self) -> Vec<Arc<str>> {
        self.cohorts
    }

    /// The route, unless it refers to what is not there; every fault is noted either way.
    pub(super) fn compile(
        &mut self,
        position: usize,
        written: &'a Arc<model::Route>,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Route> {
        self.check_name(position, &written.name, &path.key("name"), faults);
        check_max_step(written.max_step, &path.key("max_step"), faults);
        let conditions = conditions::compile(self, &written.matches, &path.key("match"), faults);
        let action = self.action(written, path, faults);
        let headers = headers(
            self.partitions,
            &written.headers,
            &path.key("headers"),
            faults,
        );
        Some(Route {
            id: RouteId(u32::try_from(position).ok()?),
            name: written.name.as_str().into(),
            action: action?,
            headers,
            settings: Arc::clone(written),
            conditions,
        })
    }

    fn action(
        &mut self,
        written: &'a model::Route,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Action> {
        match actions::Written::of(written, path, faults)? {
            actions::Written::Forward(stable) => {
                let forward = self.forward(written, stable, path, faults);
                forward.map(Action::Forward)
            }
            actions::Written::Redirect(redirect) => {
                let redirect = actions::redirect(redirect, &path.key("redirect"), faults);
                redirect.map(Action::Redirect)
            }
            actions::Written::Respond(respond) => {
                let respond = actions::respond(respond, &path.key("respond"), faults);
                respond.map(Action::Respond)
            }
        }
    }

    fn forward(
        &mut self,
        written: &'a model::Route,
        stable: &str,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Forward> {
        let cohort = self.cohort(&written.cohort, &path.key("cohort"), faults);
        let keys = sticky(&written.sticky, &path.key("sticky"), faults);
        let flags = self.flags(written, &path.key("flags"), faults);
        let stable = faults.check(&path.key("stable"), self.pool(stable));
        let initial = self.initial(written, stable, path, faults);
        let rewrite = written.rewrite.as_ref();
        let rewrite = rewrite.and_then(|it| rules::rewrite(it, &path.key("rewrite"), faults));
        let fallback = self.fallback(&written.fallback, &path.key("fallback"), faults);
        let (stable, initial) = (stable?, initial?);
        check_fallback(&fallback, &initial, &path.key("fallback"), faults);
        check_cap(written.cap, &initial, &path.key("cap"), faults);
        guards::check(written, &initial, stable, &path.key("guard"), faults);
        ramps::check(written, &path.key("ramp"), faults);
        let shadow = self.shadow(written, &initial, &path.key("shadow"), faults);
        Some(Forward {
            cohort,
            stable,
            pools: initial.weights.iter().map(|(id, _)| *id).collect(),
            flags,
            initial,
            rewrite: rewrite.map(Box::new),
            fallback,
            shadow,
            pinning: Pinning::of(&written.sticky, &written.cohort)
                .filter(|_| written.weights.iter().count() > 1)
                .map(Box::new),
            keys,
        })
    }

    fn shadow(
        &self,
        written: &model::Route,
        split: &Split,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Arc<Shadow>> {
        let written = written.shadow.as_ref()?;
        let around = shadows::Surroundings {
            pool: self.pool(&written.pool),
            split,
            partition_header: &self.partitions.header,
        };
        shadows::compile(written, around, path, faults)
    }

    fn pool(&self, name: &str) -> Result<PoolId, String> {
        self.pools.find(name).map(PoolId)
    }

    fn check_name(
        &mut self,
        position: usize,
        name: &'a str,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) {
        faults.check(path, names::plain("route", name));
        if let Some(first) = self.routes.insert(name, position) {
            faults.add(
                path,
                format!("`{name}` is the name of routes[{first}] already"),
            );
        }
    }

    fn cohort(&mut self, name: &str, path: &Trail<'_>, faults: &mut Faults) -> CohortId {
        faults.check(path, names::plain("cohort", name));
        let known = self.cohorts.iter().position(|known| **known == *name);
        let position = known.unwrap_or_else(|| {
            self.cohorts.push(name.into());
            self.cohorts.len() - 1
        });
        // More cohorts than ids are more routes than ids, which is a fault already.
        CohortId(u16::try_from(position).unwrap_or(0))
    }

    /// The file's weights, or all to `stable` when there are none.
    fn initial(
        &self,
        written: &model::Route,
        stable: Option<PoolId>,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Split> {
        if written.weights.is_empty() {
            return stable.map(Split::whole);
        }
        let weights_path = path.key("weights");
        let weights = written.weights.iter().map(|(name, weight)| {
            let id = faults.check(&weights_path.key(name), self.pool(name));
            id.map(|id| (id, *weight))
        });
        // All of them, so that every unknown name is noted.
        let weights: Vec<Option<(PoolId, u32)>> = weights.collect();
        let weights: Vec<_> = weights.into_iter().collect::<Option<_>>()?;
        let stable = stable?;
        if written.weights.get(written.stable_pool()).is_none() {
            let message = format!(
                "the stable pool `{}` has no weight; name it in `weights`, 0 is allowed",
                written.stable_pool()
            );
            faults.add(&path.key("stable"), message);
        }
        let split = Split::new(weights, stable).map_err(|error| {
            let name = error
                .pool()
                .and_then(|pool| self.weight_name(written, pool));
            let at = name.map_or(weights_path, |name| weights_path.key(name));
            faults.add(&at, error.to_string());
        });
        split.ok()
    }

    fn fallback(&self, names: &[String], path: &Trail<'_>, faults: &mut Faults) -> Vec<PoolId> {
        let mut pools = Vec::new();
        for (position, name) in names.iter().enumerate() {
            let path = path.index(position);
            match faults.check(&path, self.pool(name)) {
                Some(pool) if pools.contains(&pool) => {
                    faults.add(&path, format!("`{name}` is in the list already"));
                }
                pool => pools.extend(pool),
            }
        }
        pools
    }

    fn weight_name<'b>(&self, written: &'b model::Route, pool: PoolId) -> Option<&'b str> {
        let mut names = written.weights.iter().map(|(name, _)| name);
        names.find(|name| self.pool(name) == Ok(pool))
    }

    fn flags(&self, written: &model::Route, path: &Trail<'_>, faults: &mut Faults) -> Vec<Flag> {
        if written.flags.len() > usize::from(u16::MAX) {
            faults.add(path, "these are too many flags; allowed are 65535");
        }
        let mut compiled: Vec<Flag> = Vec::new();
        for (position, flag) in written.flags.iter().enumerate() {
            let path = path.index(position);
            faults.check(&path.key("name"), names::plain("flag", &flag.name));
            if written.flags[..position]
                .iter()
                .any(|before| before.name == flag.name)
            {
                let message = format!("`{}` is the name of a flag above already", flag.name);
                faults.add(&path.key("name"), message);
            }
            let carrier = carrier(flag, &written.sticky.cookie, &path, faults);
            let wanted = flags::wanted(&written.name, flag, &path, faults);
            let pool = faults.check(&path.key("pool"), self.pool(&flag.pool));
            if let (Some(carrier), Some(wanted), Some(pool)) = (carrier, wanted, pool) {
                compiled.push(Flag {
                    name: flag.name.as_str().into(),
                    pool,
                    reveal: flag.reveal,
                    carrier,
                    wanted,
                    favicon: None,
                    from: flag.from.clone(),
                });
            }
        }
        compiled
    }
}

/// The changes of header fields of a route or a pool.
pub(super) fn headers(
    partitions: &Partitions,
    written: &model::Headers,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Headers {
    let request = rules::Direction::Request(&partitions.header);
    let response = rules::Direction::Response;
    Headers {
        request: rules::fields(&written.request, request, &path.key("request"), faults),
        response: rules::fields(&written.response, response, &path.key("response"), faults),
    }
}

fn check_max_step(max_step: f64, path: &Trail<'_>, faults: &mut Faults) {
    if !(0.0..=100.0).contains(&max_step) {
        let message =
            format!("max_step {max_step} is not a number of percent points from 0 to 100");
        faults.add(path, message);
    }
}

/// Only canaries are bounded, so without one the table would do nothing.
fn check_cap(cap: model::Cap, split: &Split, path: &Trail<'_>, faults: &mut Faults) {
    if cap != model::Cap::default() && split.weights.len() < 2 {
        faults.add(
            path,
            "the route has no canary to bound; name one in `weights`, 0 is allowed",
        );
    }
}

/// A pool is not asked twice, so the only one of a route is none to fall back to.
fn check_fallback(fallback: &[PoolId], split: &Split, path: &Trail<'_>, faults: &mut Faults) {
    if let ([pool], [(only, _)]) = (fallback, &*split.weights)
        && pool == only
    {
        faults.add(
            path,
            "it is the route's only pool, which is asked in any case",
        );
    }
}

fn carrier(
    flag: &model::Flag,
    sticky_cookie: &str,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Carrier> {
    match (&flag.cookie, &flag.header) {
        (Some(name), None) if name == sticky_cookie => {
            let message = format!("`{name}` is the cookie of `sticky` already");
            faults.add(&path.key("cookie"), message);
            None
        }
        (Some(name), None) => {
            let name = faults.check(&path.key("cookie"), cookie_name(name))?;
            Some(Carrier::Cookie(name))
        }
        (None, Some(name)) => {
            let name = faults.check(&path.key("header"), header_name(name))?;
            Some(Carrier::Header(name))
        }
        (Some(_), Some(_)) => {
            faults.add(
                path,
                "a flag is carried by `cookie` or by `header`, not by both",
            );
            None
        }
        (None, None) => {
            faults.add(
                path,
                "a flag needs either `cookie` or `header` to be carried by",
            );
            None
        }
    }
}

/// A value that cannot arrive would be a flag that never works.
pub(super) fn check_value(flag: &model::Flag, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("the value of a flag is empty".into());
    }
    if value.trim() != value || value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("a flag's value has no control characters, and no spaces around it".into());
    }
    if flag.cookie.is_some() && value.contains(';') {
        return Err("a cookie's value has no `;`".into());
    }
    Ok(())
}

fn sticky(written: &model::Sticky, path: &Trail<'_>, faults: &mut Faults) -> Vec<Key> {
    faults.check(&path.key("cookie"), cookie_name(&written.cookie));
    if written.max_age < Duration::seconds(1) {
        let message = format!(
            "max_age {} is no time; at least 1s is needed",
            written.max_age
        );
        faults.add(&path.key("max_age"), message);
    }
    pins::check(written, path, faults);
    let path = path.key("keys");
    if written.mode == StickyMode::Off && !written.keys.is_empty() {
        faults.add(
            &path,
            "with mode `off` nobody keeps a place; keys belong to mode `bucket`",
        );
    }
    let keys = written.keys.iter().enumerate();
    keys.filter_map(|(position, text)| {
        let key = key(text, &written.cookie);
        faults.check(&path.index(position), key)
    })
    .collect()
}

fn key(text: &str, sticky_cookie: &str) -> Result<Key, String> {
    match text.split_once(':') {
        Some(("cookie", name)) if name == sticky_cookie => Err(format!(
            "`{name}` is our own cookie, which comes first in any case"
        )),
        Some(("cookie", name)) => cookie_name(name).map(Key::Cookie),
        Some(("header", name)) => header_name(name).map(Key::Header),
        None if text == "ip" => Ok(Key::Ip),
        _ => Err(format!(
            "`{text}` is not a key; write `header:NAME`, `cookie:NAME` or `ip`"
        )),
    }
}

/// A token, which is what a cookie may be called (RFC 6265 section 4.1.1) and what a method and a header are made of.
pub(super) fn cookie_name(name: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!(
            "`{name}` is not a cookie name; allowed are letters, digits and !#$%&'*+-.^_`|~"
        ));
    }
    Ok(name.to_owned())
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("`{name}` is not a header name"))
}
