//! `kanaria targets ...` as calls.

use std::net::SocketAddr;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::arguments::{Deregister, Register, TargetsVerb};
use super::super::ask::{Question, Show};
use super::{changing, forced, look};
use crate::client::{Call, segment};

pub(super) fn question(verb: TargetsVerb) -> Question {
    match verb {
        TargetsVerb::List { pool, address } => {
            let one = address.map(|address| format!("/{}", segment(&address.to_string())));
            let path = path(&pool) + &one.unwrap_or_default();
            about(pool, look(Call::get(path), Show::Targets))
        }
        TargetsVerb::Register(register) => registered(register),
        TargetsVerb::Deregister(deregister) => deregistered(deregister),
    }
}

fn registered(register: Register) -> Question {
    let target = |address: &SocketAddr| match register.weight {
        Some(weight) => json!({ "address": address, "weight": weight }),
        None => json!({ "address": address }),
    };
    let targets = register.addresses.iter().map(target).collect();
    let path = path(&register.pool);
    let question = changing(
        Method::POST,
        path,
        body(targets),
        register.change,
        Show::Registered,
    );
    about(register.pool, question)
}

/// All in one change, so that the pool is never half of what was asked.
fn deregistered(deregister: Deregister) -> Question {
    let targets = deregister.addresses.iter();
    let targets = targets
        .map(|address| json!({ "address": address }))
        .collect();
    let path = path(&deregister.pool);
    let (body, change) = (body(targets), deregister.change);
    let question = changing(Method::DELETE, path, body, change, Show::Deregistered);
    about(deregister.pool, forced(question, deregister.force))
}

fn body(targets: Vec<Value>) -> Map<String, Value> {
    Map::from_iter([("targets".to_owned(), targets.into())])
}

fn path(pool: &str) -> String {
    format!("/api/v1/pools/{}/targets", segment(pool))
}

fn about(pool: String, question: Question) -> Question {
    Question {
        about: Some(pool),
        ..question
    }
}
