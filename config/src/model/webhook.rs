//! `[[webhooks]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// A service that is told what happens: a POST of JSON for each event, in order, tried again until it is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to, `https://hooks.example.com/kanaria`, or `http://`. Certificates are judged by the authorities of the system.
    pub url: String,
    /// What it is told.
    #[serde(default = "all")]
    pub events: Vec<WebhookEvent>,
    /// Name in metrics and in the log; absent: host and port of `url`.
    #[serde(default)]
    pub name: Option<String>,
    /// Key of the signature in `kanaria-signature`, as `"${HOOK_SECRET}"`: HMAC-SHA256 over time and body; absent: not signed.
    #[serde(default)]
    pub secret: Option<String>,
    /// How long one try may take.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How long an event is tried again, and later ones wait for it: when there is no connection or no answer, and on 408, 429 and 5xx.
    #[serde(default = "default_retry_for")]
    pub retry_for: Duration,
}

/// What a webhook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEvent {
    /// A change that is in force; a rollback, too, where it is not told as one.
    Change,
    /// A file that was not taken.
    ConfigRefused,
    /// Two pools get into each other's way with a cookie.
    CookieConflict,
    /// There was enough evidence of harm by a canary.
    GuardTrip,
    /// A ramp took a step.
    RampStep,
    /// A return to the stable pool.
    Rollback,
}

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 6] = [
        Self::Change,
        Self::ConfigRefused,
        Self::CookieConflict,
        Self::GuardTrip,
        Self::RampStep,
        Self::Rollback,
    ];

    /// The word in the file and in what is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::ConfigRefused => "config_refused",
            Self::CookieConflict => "cookie_conflict",
            Self::GuardTrip => "guard_trip",
            Self::RampStep => "ramp_step",
            Self::Rollback => "rollback",
        }
    }
}

fn all() -> Vec<WebhookEvent> {
    WebhookEvent::ALL.into()
}

const fn default_timeout() -> Duration {
    Duration::seconds(5)
}

const fn default_retry_for() -> Duration {
    Duration::seconds(600)
}
