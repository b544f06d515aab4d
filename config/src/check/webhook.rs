//! What `[[webhooks]]` means: that each url leads somewhere, and that each is told something.

use std::collections::HashSet;

use super::{destination, not_zero};
use crate::model::Webhook;
use crate::problem::{Fault, Path};

/// Each has a task and a queue of its own.
const MOST: usize = 16;

const EXAMPLE: &str = "https://hooks.example.com/kanaria";

/// Everything wrong with `webhooks`.
pub(super) fn check(webhooks: &[Webhook], path: &Path, faults: &mut Vec<Fault>) {
    if webhooks.len() > MOST {
        let n = webhooks.len();
        faults.push(path.fault(format!("{n} webhooks are too many; allowed are {MOST}")));
    }
    for (position, webhook) in webhooks.iter().enumerate() {
        let path = path.index(position);
        let instead = "sign with `secret` instead";
        if let Some(message) = destination(&webhook.url, EXAMPLE, instead) {
            faults.push(path.key("url").fault(message));
        }
        if webhook.events.is_empty() {
            let message = "the list is empty; leave the key out to be told everything";
            faults.push(path.key("events").fault(message));
        }
        let mut named = HashSet::new();
        for (position, event) in webhook.events.iter().enumerate() {
            if !named.insert(event) {
                let message = format!("`{}` is named already", event.as_str());
                faults.push(path.key("events").index(position).fault(message));
            }
        }
        if let Some(message) = webhook.name.as_deref().and_then(super::name) {
            faults.push(path.key("name").fault(message));
        }
        if webhook.secret.as_deref() == Some("") {
            let message =
                "the secret must not be empty; leave the key out to send without a signature";
            faults.push(path.key("secret").fault(message));
        }
        not_zero(&path, &[("timeout", webhook.timeout)], faults);
    }
}
