//! `kanaria demo`: two environments, the real router before them, some users, and what they see.
//!
//! The router is the one that `kanaria run` runs, with a real file in a temporary folder. Nothing here is known to it.

mod board;
mod environment;
mod ports;
mod traffic;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::oneshot;

use crate::cli::{Code, Outcome, Surroundings};
use board::Board;
use environment::Environment;
use ports::Ports;
use traffic::Traffic;

/// Number of users, so that one user is one percent.
const USERS: usize = 100;

/// `kanaria demo`.
#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    /// Requests a second, from 100 users that keep their cookies.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub rps: u16,
    /// Make this environment answer 500 after a while.
    #[arg(long = "break", value_name = "POOL")]
    pub broken: Option<Side>,
    /// After how many seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 20,
        requires = "broken"
    )]
    pub break_after: u64,
    /// End after so many seconds; without it Ctrl-C ends it.
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,
    /// Port of the router; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Port of the admin API; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9900)]
    pub admin_port: u16,
    /// Port of the environment ec2; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    pub ec2_port: u16,
    /// Port of the environment ecs; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 3002)]
    pub ecs_port: u16,
}

/// One of the two environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The old one, stable.
    Ec2,
    /// The new one, the canary.
    Ecs,
}

impl Side {
    /// Name of its pool.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Ecs => "ecs",
        }
    }
}

/// Runs the demo until the router ends, which a signal or the duration makes it do.
pub fn demo(
    options: &Options,
    run: impl FnOnce(&Path) -> Code,
    surroundings: &Surroundings,
) -> Outcome {
    let stage = Stage {
        out: Box::new(std::io::stdout()),
        redraws: std::io::stdout().is_terminal(),
        end: end_this_process,
    };
    perform(options, run, surroundings, stage)
}

/// Where the demo is shown, and how it is ended from inside.
struct Stage {
    out: Box<dyn Write + Send>,
    redraws: bool,
    end: fn(),
}

fn perform(
    options: &Options,
    run: impl FnOnce(&Path) -> Code,
    surroundings: &Surroundings,
    stage: Stage,
) -> Outcome {
    let (ports, listeners) = match ports::take(options) {
        Ok(taken) => taken,
        Err(complaint) => return Outcome::failed(Code::Failed, &complaint),
    };
    let folder = match house(&ports) {
        Ok(folder) => folder,
        Err(error) => {
            return Outcome::failed(Code::Failed, &format!("no temporary folder: {error}"));
        }
    };
    let farewell = farewell(&stage);
    let (end, ended) = oneshot::channel();
    let scenery = Scenery {
        options: *options,
        ports,
        called: surroundings.called.clone(),
        stage,
    };
    let scenery = std::thread::spawn(move || scenery.play(listeners, ended));
    let code = run(&folder.path().join("kanaria.toml"));
    drop(end);
    let played = scenery.join();
    let cleaned = folder.close();
    match (played, cleaned) {
        (Ok(Ok(())), Ok(())) => Outcome {
            code,
            ..Outcome::done(farewell)
        },
        (Ok(Err(error)), _) | (_, Err(error)) => {
            Outcome::failed(Code::Failed, &format!("demo: {error}"))
        }
        (Err(_), _) => Outcome::failed(Code::Failed, "demo: a defect of ours ended it"),
    }
}

/// The last line; on a terminal the cursor stands behind the line that was redrawn.
fn farewell(stage: &Stage) -> String {
    let line_end = if stage.redraws { "\n" } else { "" };
    format!("{line_end}ended; nothing is left behind\n")
}

/// A temporary folder with the router's file, as an operator would write it.
fn house(ports: &Ports) -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("kanaria-demo-").tempdir()?;
    std::fs::write(folder.path().join("kanaria.toml"), file(ports))?;
    Ok(folder)
}

fn file(ports: &Ports) -> String {
    let Ports {
        public,
        admin,
        ec2,
        ecs,
    } = ports;
    format!(
        r#"version = 1

[admin]
bind = "127.0.0.1:{admin}"

[[listeners]]
name = "public"
bind = "127.0.0.1:{public}"

[pools.ec2]
targets = ["127.0.0.1:{ec2}"]

[pools.ecs]
targets = ["127.0.0.1:{ecs}"]

[[routes]]
name = "demo"
stable = "ec2"
weights = {{ ec2 = 95, ecs = 5 }}
"#
    )
}

/// All that is around the router.
struct Scenery {
    options: Options,
    ports: Ports,
    called: String,
    stage: Stage,
}

impl Scenery {
    /// Plays on one thread of its own, until `ended` resolves.
    fn play(
        self,
        listeners: [std::net::TcpListener; 2],
        ended: oneshot::Receiver<()>,
    ) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            tokio::select! {
                played = self.act(listeners) => played,
                _ = ended => Ok(()),
            }
        })
    }

    async fn act(self, listeners: [std::net::TcpListener; 2]) -> std::io::Result<()> {
        let (options, end) = (self.options, self.stage.end);
        let broken = environments(listeners)?;
        let traffic = Traffic::new(self.ports.public, USERS);
        let mut board = Board::new(self, Arc::clone(&traffic));
        board.wait_until_ready().await;
        board.greet();
        traffic.start(options.rps);
        if let Some(side) = options.broken {
            let after = Duration::from_secs(options.break_after);
            tokio::spawn(break_after(Arc::clone(&broken[side as usize]), after));
        }
        let shown = board.show(&broken);
        match options.duration {
            Some(seconds) => {
                // Time being up is how it should end.
                let _ = tokio::time::timeout(Duration::from_secs(seconds), shown).await;
            }
            None => shown.await,
        }
        end();
        std::future::pending().await
    }
}

/// Starts both; what breaks each is returned, `Side` as position.
fn environments([ec2, ecs]: [std::net::TcpListener; 2]) -> std::io::Result<[Arc<AtomicBool>; 2]> {
    let broken: [Arc<AtomicBool>; 2] = Default::default();
    for (side, listener) in [(Side::Ec2, ec2), (Side::Ecs, ecs)] {
        let environment = Environment::new(side, Arc::clone(&broken[side as usize]));
        tokio::spawn(environment.serve(listener)?);
    }
    Ok(broken)
}

async fn break_after(broken: Arc<AtomicBool>, after: Duration) {
    tokio::time::sleep(after).await;
    broken.store(true, Ordering::Relaxed);
}

/// Asks the router to drain and end, as an operator would.
fn end_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
}

#[cfg(test)]
mod tests;
