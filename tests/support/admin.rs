//! A client of the admin API.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::{Answer, Client};

/// Where the admin API listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
}

impl Admin {
    /// One call on a connection of its own; `fields` are complete lines.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        Client::connect(self.address).call(self.message(method, path, fields, body))
    }

    /// As `call`, but a router that is gone is an answer too.
    pub(crate) fn try_call(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let message = self.message(method, path, "", &body.to_string());
        Client::try_connect(self.address)
            .and_then(|mut client| client.try_call(message))
            .ok()
    }

    /// A GET that must succeed.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.done(self.call("GET", path, "", ""))
    }

    /// A POST that must succeed.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.done(self.call("POST", path, "", &body.to_string()))
    }

    /// Sets the weights of `route`, which must succeed; the answer.
    #[track_caller]
    pub(crate) fn set(&self, route: &str, weights: &[(&str, u32)]) -> Value {
        let path = format!("/api/v1/routes/{route}/weights");
        let answer = self.call("PUT", &path, "", &weights_body(weights).to_string());
        self.done(answer)
    }

    /// Sets `ec2` and `ecs` of the route `web`.
    #[track_caller]
    pub(crate) fn set_web(&self, ec2: u32, ecs: u32) -> Value {
        self.set("web", &[("ec2", ec2), ("ecs", ecs)])
    }

    /// The number of the live state.
    #[track_caller]
    pub(crate) fn revision(&self) -> u64 {
        let status = self.get("/api/v1/status");
        status["revision"].as_u64().expect("a revision is a number")
    }

    /// Sum of a metric's series whose line contains every one of `parts`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        self.metrics()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The whole exposition.
    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        let answer = self.call("GET", "/metrics", "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// The same as messages, as Prometheus asks for them when it takes native histograms.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<u8> {
        let accept = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                      application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
        let answer = self.call("GET", "/metrics", accept, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kind = answer.head.get("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/vnd.google.protobuf;"),
            "{kind}"
        );
        answer.body
    }

    #[track_caller]
    fn done(&self, answer: Answer) -> Value {
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("the admin API answers JSON")
    }

    fn message(&self, method: &str, path: &str, fields: &str, body: &str) -> String {
        let framing = if body.is_empty() {
            String::new()
        } else {
            format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            )
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}{framing}\r\n{body}",
            self.address
        )
    }
}

/// The body of a change of weights.
pub(crate) fn weights_body(weights: &[(&str, u32)]) -> Value {
    let weights: serde_json::Map<_, _> = weights
        .iter()
        .map(|(pool, weight)| ((*pool).to_owned(), json!(weight)))
        .collect();
    json!({ "weights": weights })
}
