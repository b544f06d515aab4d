//! What the demo shows: what to try, live shares, and what just happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::traffic::{Seen, Traffic};
use super::{Options, Ports, Scenery, Side, Stage, USERS};
use crate::client::{self, Call, Credentials, Endpoint};

/// A line is made of one second of traffic.
const SECOND: Duration = Duration::from_secs(1);
/// Without a terminal to redraw, only each fifth line is printed.
const SPARSE: u32 = 5;

/// The terminal of the demo.
pub(super) struct Board {
    options: Options,
    ports: Ports,
    called: String,
    stage: Stage,
    admin: Endpoint,
    traffic: Arc<Traffic>,
    closed: bool,
}

/// What the router is asked to do, as its admin API says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) weights: [u64; 2],
    pub(super) rolled_back: bool,
}

impl Board {
    pub(super) fn new(scenery: Scenery, traffic: Arc<Traffic>) -> Self {
        let Scenery {
            options,
            ports,
            called,
            stage,
        } = scenery;
        let admin = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: ports.admin,
            tls: false,
        };
        Self {
            options,
            ports,
            called,
            stage,
            admin,
            traffic,
            closed: false,
        }
    }

    /// What is here, and what to try.
    pub(super) fn greet(&mut self) {
        let greeting = greeting(&self.options, &self.ports, &self.called);
        self.print(&greeting);
    }

    /// Until the router answers, which it does within moments or never.
    pub(super) async fn wait_until_ready(&self) {
        while client::ask(&self.admin, &Credentials::default(), Call::get("/readyz"))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A line a second, until nobody reads it.
    pub(super) async fn show(&mut self, broken: &[Arc<AtomicBool>; 2]) {
        let mut ticks = interval(SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        let mut before = Asked::default();
        let mut was_broken = false;
        let mut n_lines = 0;
        while !self.closed {
            ticks.tick().await;
            let seen = self.traffic.take();
            let asked = self.asked().await.unwrap_or_else(|| before.clone());
            let is_broken = broken.iter().any(|side| side.load(Ordering::Relaxed));
            let news = self.news(&before, &asked, is_broken && !was_broken);
            if news.is_empty() {
                self.refresh(&line(&asked, &seen), n_lines);
            } else {
                self.print(&format!("{}\n{news}", line(&asked, &seen)));
            }
            n_lines += 1;
            (before, was_broken) = (asked, is_broken);
        }
    }

    async fn asked(&self) -> Option<Asked> {
        let text = client::ask(
            &self.admin,
            &Credentials::default(),
            Call::get("/api/v1/routes/demo"),
        )
        .await
        .ok()?;
        asked(&serde_json::from_str(&text).ok()?)
    }

    fn news(&self, before: &Asked, asked: &Asked, just_broken: bool) -> String {
        let mut news = String::new();
        if just_broken && let Some(side) = self.options.broken {
            news.push_str(&format!(
                "\n{} is broken now: it answers 500. Nothing is rolled back by itself; type:\n  {}\n\n",
                side.name(),
                self.command("rollback --reason \"the canary answers 500\"")
            ));
        }
        if asked.rolled_back && !before.rolled_back {
            news.push_str(&format!(
                "\nrolled back. Before the canary may have users again:\n  {}\n\n",
                self.command("resume demo")
            ));
        }
        news
    }

    fn command(&self, rest: &str) -> String {
        command(&self.called, &self.ports, rest)
    }

    fn refresh(&mut self, line: &str, n_lines: u32) {
        if self.stage.redraws {
            self.print(&format!("\r\u{1b}[K{line}"));
        } else if n_lines.is_multiple_of(SPARSE) {
            self.print(&format!("{line}\n"));
        }
    }

    /// A closed pipe ends the demo, not with an error.
    fn print(&mut self, text: &str) {
        let text = match text.strip_prefix('\r') {
            None if self.stage.redraws => format!("\r\u{1b}[K{text}"),
            _ => text.to_owned(),
        };
        let out = &mut self.stage.out;
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.closed |= written.is_err();
    }
}

/// The greeting.
pub(super) fn greeting(options: &Options, ports: &Ports, called: &str) -> String {
    let Ports {
        public,
        admin,
        ec2,
        ecs,
    } = ports;
    let rps = options.rps;
    let set = command(
        called,
        ports,
        "weights demo ec2=50 ecs=50 --reason \"half of the users\"",
    );
    let back = command(called, ports, "rollback --reason \"enough for today\"");
    format!(
        "\
kanaria demo: two environments, and a router before them

  ec2     http://127.0.0.1:{ec2}   the old environment, stable, 95 %
  ecs     http://127.0.0.1:{ecs}   the new environment, the canary, 5 %
  router  http://127.0.0.1:{public}   {USERS} users, {rps} requests/s
  admin   http://127.0.0.1:{admin}   what is live, as a page for your browser

try in another terminal:
  curl http://127.0.0.1:{public}/
  {set}
  {back}

Ctrl-C ends it and leaves nothing behind.

"
    )
}

fn command(called: &str, ports: &Ports, rest: &str) -> String {
    match ports.admin {
        9900 => format!("{called} {rest}"),
        admin => format!("{called} --admin http://127.0.0.1:{admin} {rest}"),
    }
}

/// One second of traffic.
pub(super) fn line(asked: &Asked, seen: &Seen) -> String {
    let sum = asked.weights.iter().sum::<u64>().max(1);
    let share = 100.0 * asked.weights[Side::Ecs as usize] as f64 / sum as f64;
    let [ec2, ecs] = seen.answers;
    format!(
        "asked of ecs {share:.2} %   users on ecs {} of {}   last second: ec2 {ec2}, ecs {ecs}, failed {}",
        seen.users_on(Side::Ecs),
        seen.users(),
        seen.failed
    )
}

fn asked(route: &Value) -> Option<Asked> {
    let weight = |side: Side| route.get("weights")?.get(side.name())?.as_u64();
    Some(Asked {
        weights: [weight(Side::Ec2)?, weight(Side::Ecs)?],
        rolled_back: route.get("state")?.as_str()? == "rolled_back",
    })
}
