//! A scenario that leaves everything out: a site of 20,000 clients with 50 requests a second, on which nothing goes wrong.

use super::{Answers, Bot, Clients, Harm, Operator, Place, Request, Scenario, Traffic};
use crate::units::Duration;

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: String::new(),
            start: "2026-06-01T00:00:00Z".into(),
            length: Duration::seconds(0),
            clients: Clients::default(),
            traffic: Traffic::default(),
            request: Request::default(),
            answers: Answers::default(),
            bots: Vec::new(),
            harm: Vec::new(),
            operator: Operator::default(),
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            count: 20_000,
            stay: Duration::seconds(3 * 86_400),
            tail: 1.5,
            cookieless: 0.02,
            flagged: 0.0,
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            rps: 50.0,
            swing: 0.6,
            peak: 11.0,
            quiet: None,
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            errors: 0.001,
            client_errors: 0.01,
            median: Duration::millis(80),
            spread: 0.6,
        }
    }
}

impl Default for Bot {
    fn default() -> Self {
        Self {
            place: Place::default(),
            rps: 1.0,
            errors: 1.0,
            client_errors: 0.0,
        }
    }
}

impl Default for Harm {
    fn default() -> Self {
        Self {
            pool: "canary".into(),
            from: Duration::seconds(0),
            step: None,
            lasts: Duration::seconds(0),
            clients: 1.0,
            errors: 0.0,
            client_errors: 0.0,
            slower: 1.0,
            down: false,
            probe_fails: false,
        }
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self {
            start: Duration::seconds(3 * 3_600),
            cold: false,
            advance: None,
            resume: None,
        }
    }
}
