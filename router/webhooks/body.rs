//! What a webhook is sent of a notice. Pure, but for the moment.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use config::model::WebhookEvent;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::control::Notice;

/// One event for one hook.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The word for it.
    pub(super) name: &'static str,
    /// The same for each try.
    pub(super) id: String,
    /// JSON.
    pub(super) body: Bytes,
}

impl Event {
    /// What a hook that wants `events` is sent of `notice`; `None` when it wants none of it.
    pub(super) fn of(notice: &Notice, events: &[WebhookEvent]) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = word(notice, events)?;
        let now = Timestamp::now();
        let id = format!("{}-{}", now.as_millisecond(), NEXT.fetch_add(1, Relaxed));
        let body = document(name, &id, now, notice);
        Some(Self {
            name,
            id,
            body: Bytes::from(body.to_string()),
        })
    }
}

/// The event that a notice is to a hook; a rollback is a change to one that does not ask for rollbacks.
fn word(notice: &Notice, events: &[WebhookEvent]) -> Option<&'static str> {
    let is_rollback = notice.event == "change" && notice.data["kind"] == "rollback";
    let wanted = |name: &str| events.iter().find(|event| event.as_str() == name);
    let rollback = wanted("rollback").filter(|_| is_rollback);
    let event = rollback.or_else(|| wanted(notice.event))?;
    Some(event.as_str())
}

/// The same keys for every event; `null` where there is nothing to say.
fn document(name: &str, id: &str, now: Timestamp, notice: &Notice) -> Value {
    let data = &notice.data;
    let (before, after) = match notice.event {
        "change" => (edited(data, "before"), edited(data, "after")),
        _ => (data["before"].clone(), data["after"].clone()),
    };
    let actor = match notice.event {
        "guard_trip" => "guard".into(),
        _ => data["actor"].clone(),
    };
    json!({
        "id": id,
        "event": name,
        "time": format!("{now:.3}"),
        "actor": actor,
        "reason": reason(notice),
        "revision": data["revision"],
        "before": before,
        "after": after,
        "data": data,
    })
}

fn reason(notice: &Notice) -> Value {
    let data = &notice.data;
    match notice.event {
        "guard_trip" => data["why"].clone(),
        "cookie_conflict" => data["finding"]["sentence"].clone(),
        "config_refused" => data["problems"][0]["message"].clone(),
        _ => data["reason"].clone(),
    }
}

/// Weights and mark of each route that a change is about.
fn edited(data: &Value, side: &str) -> Value {
    let routes = data["routes"].as_object();
    let of = |route: &Value| json!({"weights": route["weights"], "state": route["state"]});
    let each = routes.into_iter().flatten().map(|(name, edit)| {
        let route = &edit[side];
        let shown = if route.is_null() {
            Value::Null
        } else {
            of(route)
        };
        (name.clone(), shown)
    });
    Value::Object(each.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(event: &'static str, data: Value) -> Notice {
        Notice {
            event,
            revision: None,
            data: data.into(),
        }
    }

    fn change(kind: &str) -> Notice {
        let side =
            |ecs: u32| json!({"weights": {"ec2": 95, "ecs": ecs}, "state": "normal", "block": {}});
        notice(
            "change",
            json!({
                "revision": 7, "kind": kind, "actor": "local", "reason": "too slow",
                "routes": {"web": {"before": side(5), "after": side(0)}, "new": {"before": null, "after": side(1)}},
            }),
        )
    }

    #[track_caller]
    fn told(notice: &Notice, events: &[WebhookEvent]) -> Option<Value> {
        let event = Event::of(notice, events)?;
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(
            (&body["id"], &body["event"]),
            (&event.id.into(), &event.name.into())
        );
        Some(body)
    }

    #[test]
    fn a_rollback_is_told_once_as_what_a_hook_asks_for() {
        use WebhookEvent::{Change, GuardTrip, Rollback};
        let word = |events: &[WebhookEvent], kind| {
            told(&change(kind), events).map(|body| body["event"].as_str().unwrap().to_owned())
        };
        assert_eq!(
            word(&[Change, Rollback], "rollback").as_deref(),
            Some("rollback")
        );
        assert_eq!(word(&[Change], "rollback").as_deref(), Some("change"));
        assert_eq!(word(&[Rollback], "weights"), None);
        assert_eq!(word(&[GuardTrip], "weights"), None);
        assert!(told(&notice("target", json!({})), &WebhookEvent::ALL).is_none());
    }

    #[test]
    fn every_event_says_who_why_and_what_changed() {
        let body = told(&change("weights"), &WebhookEvent::ALL).unwrap();
        assert_eq!(body["actor"], "local");
        assert_eq!(body["reason"], "too slow");
        assert_eq!(body["revision"], 7);
        assert_eq!(
            body["before"]["web"],
            json!({"weights": {"ec2": 95, "ecs": 5}, "state": "normal"})
        );
        assert_eq!(body["after"]["web"]["weights"]["ecs"], 0);
        assert_eq!(body["before"]["new"], Value::Null);
        let trip = notice(
            "guard_trip",
            json!({"route": "web", "why": "errors", "done": "rollback"}),
        );
        let body = told(&trip, &WebhookEvent::ALL).unwrap();
        assert_eq!(
            (&body["actor"], &body["reason"]),
            (&"guard".into(), &"errors".into())
        );
        assert_eq!(body["before"], Value::Null);
    }
}
