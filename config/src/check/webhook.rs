//! What `[[webhooks]]` means: that each url leads somewhere, and that each is told something.

use std::collections::HashSet;

use http::Uri;

use super::not_zero;
use crate::model::Webhook;
use crate::problem::{Fault, Path};

/// Each has a task and a queue of its own.
const MOST: usize = 16;

/// Everything wrong with `webhooks`.
pub(super) fn check(webhooks: &[Webhook], path: &Path, faults: &mut Vec<Fault>) {
    if webhooks.len() > MOST {
        let n = webhooks.len();
        faults.push(path.fault(format!("{n} webhooks are too many; allowed are {MOST}")));
    }
    for (position, webhook) in webhooks.iter().enumerate() {
        let path = path.index(position);
        if let Some(message) = url(&webhook.url) {
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

/// Why a text is no address to send to.
fn url(url: &str) -> Option<String> {
    let parsed: Option<Uri> = url.parse().ok();
    let authority = parsed.as_ref().and_then(|url| {
        let scheme = url
            .scheme_str()
            .is_some_and(|it| matches!(it, "http" | "https"));
        url.authority().filter(|_| scheme)
    });
    match authority {
        None => Some(format!(
            "{url:?} is not an address as https://hooks.example.com/kanaria"
        )),
        Some(authority) if authority.as_str().contains('@') => Some(
            "an address with a user or a password would be in logs; sign with `secret` instead"
                .into(),
        ),
        Some(_) => None,
    }
}
