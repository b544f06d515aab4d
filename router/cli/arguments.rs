//! What may be typed. Nothing is carried out here.

mod audit;
mod cookies;
mod ramp;
mod shadow;
mod simulate;
mod targets;
mod values;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use super::metrics::Form;
use crate::client::Endpoint;
use crate::demo;
pub use audit::{AuditVerb, Session};
pub use cookies::{Cookies, FailOn};
pub use ramp::{Ramp, RampVerb};
pub use shadow::{Rerun, Shadow, ShadowVerb, Unwanted};
pub use simulate::Simulate;
pub use targets::{Deregister, Register, TargetsVerb};
pub use values::{Field, NotAnArgument, PoolWeight};
use values::{cookie, part};

/// Moves a live service from one pool to another, and back at once.
///
/// `kanaria rollback` sends every route back to its stable pool, now.
#[derive(Debug, Parser)]
#[command(name = "kanaria", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 differences (only with --detailed-exitcode), 64 usage, \
69 no router answers, 75 not every router did it, 77 not authorized, 78 configuration invalid."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Where to ask.
    #[command(flatten)]
    pub remote: Remote,
}

/// How the router or routers are reached, and how they are shown.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// Print one JSON document: what the admin API answered.
    #[arg(long, global = true)]
    pub json: bool,
    /// Admin API of the router, or of several, as `http://HOST:PORT`, `https://HOST:PORT` or unix:/PATH; without it the environment's
    /// KANARIA_ADMIN is used, and without that `http://127.0.0.1:9900`.
    #[arg(long, global = true, value_name = "URL[,URL..]", value_delimiter = ',')]
    pub admin: Vec<Endpoint>,
    /// File with the bearer token; without it the environment's KANARIA_TOKEN is used.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File of the authorities that vouch for routers over https; without it those of the system.
    #[arg(long, global = true, value_name = "FILE", env = "KANARIA_ADMIN_CA")]
    pub admin_ca: Option<PathBuf>,
    /// File of a certificate to show to routers that ask for one.
    #[arg(long, global = true, value_name = "FILE", env = "KANARIA_ADMIN_CERT")]
    pub admin_cert: Option<PathBuf>,
    /// File of its key.
    #[arg(long, global = true, value_name = "FILE", env = "KANARIA_ADMIN_KEY")]
    pub admin_key: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the router in the foreground.
    Run {
        /// Configuration, TOML or JSON.
        #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
        config: PathBuf,
        /// Take over from the router that uses the same `state_dir`: its sockets, its state, its place. It finishes what it
        /// has and ends; it goes on when this one does not come up.
        #[arg(long)]
        upgrade: bool,
    },
    /// Try it: two built-in environments, a router before them and some traffic; needs no file.
    Demo(demo::Options),
    /// Validate a configuration; every error with its place.
    Check {
        /// Configuration, TOML or JSON.
        #[arg(value_name = "FILE", default_value = "kanaria.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
    /// What is live, who set it, and what it achieves.
    Status {
        /// Only this route.
        route: Option<String>,
        /// Ask again every 2 seconds, or every so many, until interrupted.
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
        watch: Option<u64>,
    },
    /// The pools of a route beside each other: what went wrong, how long it took, on which paths a canary does harm.
    ///
    /// For a look; intervals are of 95 % and for one look. What takes a canary back by itself is `[routes.guard]`.
    Compare {
        /// The route.
        route: String,
        /// How far back, 1m to 1h.
        #[arg(long, value_name = "DURATION", default_value = "10m")]
        window: config::units::Duration,
    },
    /// Show the weights of a route, or set them.
    #[command(
        after_help = "A share is weight / sum. Name every pool of the route:\n  \
        kanaria weights blogs ec2=95 ecs=5 --reason \"first step\""
    )]
    Weights(Weights),
    /// Send every route, or one, back to its stable pool at once.
    ///
    /// Never asks, can be repeated, and is carried out even when it cannot be written down.
    Rollback {
        /// Only this route; without it every route.
        route: Option<String>,
        /// How.
        #[command(flatten)]
        change: Change,
    },
    /// Let the canaries of a route be raised again after a rollback; moves no traffic by itself.
    Resume {
        /// The route.
        route: String,
        /// How.
        #[command(flatten)]
        change: Change,
    },
    /// Give a pool of a route in mode `pin` no new clients, and let those that are pinned to it finish.
    Drain(Drain),
    /// What was changed, newest first.
    #[command(args_conflicts_with_subcommands = true)]
    History {
        /// Only the newest this many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Something else about the history.
        #[command(subcommand)]
        verb: Option<HistoryVerb>,
    },
    /// Note something, as a deploy, in the history and beside the figures of that time; no weight changes.
    Annotate(Annotate),
    /// Bring back the weights of an earlier revision.
    Restore(Restore),
    /// Give every user of a route's cohort a new bucket.
    Reshuffle(Reshuffle),
    /// List the targets of a pool, register some, or take some out.
    Targets {
        /// What to do with them.
        #[command(subcommand)]
        verb: TargetsVerb,
    },
    /// Raise a canary by its schedule: start it, look at it, stop it.
    Ramp {
        /// What to do.
        #[command(subcommand)]
        verb: RampVerb,
    },
    /// Tell the migration of a route as Markdown: stages with their evidence, incidents, who did what.
    Report {
        /// The route.
        route: String,
    },
    /// Look into the guard's evidence.
    Guard {
        /// What to do.
        #[command(subcommand)]
        verb: GuardVerb,
    },
    /// What became of the copies for shadow pools, and where the answers differ.
    Shadow(Shadow),
    /// Make values for signed flags.
    Flag {
        /// What to do.
        #[command(subcommand)]
        verb: FlagVerb,
    },
    /// Where a request would go and why, step by step.
    Explain(Explain),
    /// What the pools of a route do to each other's cookies, what will happen, and the rule against it.
    Cookies(Cookies),
    /// Try what only a client can try.
    Audit {
        /// What to try.
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Print what the router counts, for Prometheus or for a plugin of Mackerel's agent.
    Metrics {
        /// Form of the lines.
        #[arg(long, value_enum, default_value_t = Form::Prometheus)]
        format: Form,
        /// With mackerel: a file that keeps what was counted the last time, so that what only grows is told by the minute.
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
    },
    /// What a new file would route differently, by the requests of an access log; needs no router, and changes nothing.
    Plan(Plan),
    /// Run a migration before it happens: made-up clients on a clock of its own, and what weights, ramp and guard of a file
    /// make of them. Needs no router, and changes nothing.
    Simulate(Simulate),
    /// Read the configuration again, as SIGHUP does, and print what came of it.
    Reload {
        /// How.
        #[command(flatten)]
        change: Change,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// What to drain, and how.
#[derive(Debug, Args)]
pub struct Drain {
    /// The route.
    pub route: String,
    /// The pool.
    pub pool: String,
    /// Also when that raises a canary of a route that was rolled back, or by more than `max_step`.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// What to bring back, and how.
#[derive(Debug, Args)]
pub struct Restore {
    /// The revision, a number from `kanaria history`.
    pub revision: u64,
    /// Also when that raises a canary of a route that was rolled back, or by more than `max_step`.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// Whose buckets to change, and how.
#[derive(Debug, Args)]
pub struct Reshuffle {
    /// The route.
    pub route: String,
    /// Also while a canary has a weight: users then change their pool.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// What every changing verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Change {
    /// Why; kept in the history.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only if this revision is still in force.
    #[arg(long, value_name = "N")]
    pub if_revision: Option<u64>,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `kanaria weights`.
#[derive(Args, Debug)]
pub struct Weights {
    /// The route.
    pub route: String,
    /// A weight for every pool of the route, as `ec2=70 ecs=30`; without them the weights are shown.
    #[arg(value_name = "POOL=WEIGHT", value_delimiter = ',')]
    pub weights: Vec<PoolWeight>,
    /// Also after a rollback, and by more than `max_step`.
    #[arg(long, requires = "weights")]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// `kanaria annotate`.
#[derive(Args, Debug)]
pub struct Annotate {
    /// What to note, as "ecs: deployed 4f3c2d1".
    pub text: String,
    /// The route it is about; without it all.
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<String>,
    /// How.
    #[command(flatten)]
    pub change: Change,
}

/// `kanaria history ...`.
#[derive(Debug, Subcommand)]
pub enum HistoryVerb {
    /// Check the journal's chain of hashes, without a router.
    Verify {
        /// The journal, or the folder it is in.
        #[arg(value_name = "PATH", conflicts_with_all = ["state_dir", "config"])]
        path: Option<PathBuf>,
        /// Folder of the live state.
        #[arg(long, value_name = "DIR", conflicts_with = "config")]
        state_dir: Option<PathBuf>,
        /// Configuration that names the folder.
        #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
        config: PathBuf,
    },
}

/// `kanaria guard ...`.
#[derive(Debug, Subcommand)]
pub enum GuardVerb {
    /// Make the evidence that was written down again from what was counted, without a router.
    Replay {
        /// Only this route; without it every route.
        route: Option<String>,
        /// Folder of the live state.
        #[arg(long, value_name = "DIR", conflicts_with = "config")]
        state_dir: Option<PathBuf>,
        /// Configuration that names the folder.
        #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
        config: PathBuf,
    },
}

/// `kanaria flag ...`.
#[derive(Debug, Subcommand)]
pub enum FlagVerb {
    /// Print a value that makes its bearer take the flag until it expires.
    Mint {
        /// The route.
        #[arg(long)]
        route: String,
        /// The flag.
        #[arg(long)]
        flag: String,
        /// How long it counts, as `8h`; at most `90d`.
        #[arg(long, value_name = "DURATION")]
        expires: String,
    },
}

/// `kanaria explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// Method: GET.
    #[arg(required_unless_present = "request_id")]
    pub method: Option<String>,
    /// URL with the host, as `http://blog.example.com/entry?a=1`.
    #[arg(required_unless_present = "request_id")]
    pub url: Option<String>,
    /// Instead: a request of the access log, by its `request_id`, and the decision on it once more by the revision that decided.
    #[arg(long, value_name = "ID", conflicts_with_all = ["method", "url", "headers", "cookies", "from"])]
    pub request_id: Option<String>,
    /// With --request-id: the access log in JSON to look in; without it those of the configuration.
    #[arg(long, value_name = "FILE", requires = "request_id")]
    pub log: Option<PathBuf>,
    /// A header; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<Field>,
    /// A cookie; may be repeated.
    #[arg(long = "cookie", value_name = "NAME=VALUE", value_parser = cookie)]
    pub cookies: Vec<String>,
    /// Address of the client.
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,
    /// Explain this configuration's initial weights, without a router; with --request-id: the one whose state and logs are read.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `kanaria plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The new configuration, TOML or JSON.
    #[arg(value_name = "NEW_FILE")]
    pub file: PathBuf,
    /// Access log in the form json or alb, whose requests are decided again; `-` is standard input.
    #[arg(long, value_name = "ACCESS_LOG")]
    pub replay: PathBuf,
    /// The configuration in force; live weights are those in its `state_dir`.
    #[arg(short, long, value_name = "FILE", default_value = "kanaria.toml")]
    pub config: PathBuf,
    /// Exit with 2 when a request would go elsewhere.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Exit with 1 when a larger part of the users seen would change their pool, as `5%`.
    #[arg(long, value_name = "PERCENT", value_parser = part)]
    pub max_moved_users: Option<f64>,
}

impl Arguments {
    /// Reads a command line; the error knows whether it is one (a wish for help is not).
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments = Self::try_parse_from(line)?;
        if let Verb::Weights(weights) = &arguments.verb
            && let Some(twice) = weights.named_twice()
        {
            let message = format!(
                "invalid value '{twice}' for '[POOL=WEIGHT]...': pool `{}` is named twice",
                twice.pool
            );
            return Err(Self::command().error(ErrorKind::ValueValidation, message));
        }
        Ok(arguments)
    }
}

impl Weights {
    fn named_twice(&self) -> Option<&PoolWeight> {
        self.weights.iter().enumerate().find_map(|(position, one)| {
            let before = &self.weights[..position];
            before
                .iter()
                .any(|other| other.pool == one.pool)
                .then_some(one)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(line: &str) -> Result<Arguments, clap::Error> {
        let line = line.split('|').map(OsString::from);
        Arguments::read(std::iter::once("kanaria".into()).chain(line))
    }

    #[track_caller]
    fn refused(line: &str, message: &str) {
        let error = read(line).expect_err("refused").to_string();
        assert!(error.contains(message), "{line}: {error}");
    }

    #[test]
    fn the_surface_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn weights_are_read_in_either_form() {
        for line in ["weights|blogs|ec2=70|ecs=30", "weights|blogs|ec2=70,ecs=30"] {
            let Verb::Weights(weights) = read(line).unwrap().verb else {
                panic!("not weights");
            };
            let named: Vec<_> = weights.weights.iter().map(ToString::to_string).collect();
            assert_eq!(named, ["ec2=70", "ecs=30"]);
        }
    }

    #[test]
    fn a_wrong_weight_names_its_argument() {
        let not_a_number = "is not a whole number from 0 to 1000000";
        for wrong in [
            "ecs=5%",
            "ecs=-1",
            "ecs=+5",
            "ecs=",
            "ecs=0.5",
            "ecs=1000001",
            "ecs=5x",
        ] {
            refused(&format!("weights|blogs|{wrong}"), not_a_number);
            refused(&format!("weights|blogs|{wrong}"), &format!("'{wrong}'"));
        }
        refused("weights|blogs|ecs", "expected POOL=WEIGHT, as in ecs=30");
        refused("weights|blogs|=5", "expected POOL=WEIGHT");
        refused("weights|blogs|ecs=1|ecs=2", "pool `ecs` is named twice");
    }

    #[test]
    fn targets_are_addresses_with_a_port() {
        for line in [
            "targets|register|ecs|10.0.0.1:80|[::1]:80|--weight|3",
            "targets|register|ecs|10.0.0.1:80,[::1]:80",
            "targets|deregister|ecs|10.0.0.1:80|--force|--reason|x",
            "targets|list|ecs",
            "targets|list|ecs|10.0.0.1:80",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
        let verb = "targets|register|ecs";
        for (wrong, message) in [
            ("web.internal:80", "is a host name"),
            ("10.0.0.1", "is not an IP address and port"),
            ("10.0.0.1:0", "has port 0"),
            ("10.0.0.1:80|--weight|0", "0 is not in 1..=1000"),
            ("10.0.0.1:80|--weight|1001", "1001 is not in 1..=1000"),
            ("10.0.0.1:80|--force", "unexpected argument '--force'"),
        ] {
            refused(&format!("{verb}|{wrong}"), message);
        }
        for verb in ["register", "deregister"] {
            refused(&format!("targets|{verb}|ecs"), "<ADDR>");
        }
        refused("targets", "Usage: kanaria targets");
    }

    #[test]
    fn headers_and_cookies_are_checked_before_they_are_sent() {
        refused("explain|GET|http://a/|-H|nonsense", "NAME: VALUE");
        refused("explain|GET|http://a/|-H|a b: c", "NAME: VALUE");
        refused("explain|GET|http://a/|--cookie|=c", "NAME=VALUE");
        refused("explain|GET|http://a/|--cookie|a=b; c=d", "NAME=VALUE");
        refused("explain|GET|http://a/|--from|here", "invalid IP address");
        assert!(read("explain|GET|http://a/|-H|X-Canary: on|--cookie|a=b=c").is_ok());
    }

    #[test]
    fn options_of_the_whole_program_may_stand_anywhere() {
        let before = read("--json|--admin|unix:/run/a.sock|rollback").unwrap();
        let after = read("rollback|--admin|unix:/run/a.sock|--json").unwrap();
        assert_eq!(before.remote.admin, after.remote.admin);
        assert!(before.remote.json && after.remote.json);
        refused(
            "status|--admin|9900",
            "expected http://HOST:PORT, https://HOST:PORT or unix:/PATH",
        );
    }

    #[test]
    fn history_takes_a_limit_or_verify() {
        assert!(read("history|--limit|5").is_ok());
        assert!(read("history|verify|--state-dir|state").is_ok());
        assert!(read("history|verify|state/journal.jsonl").is_ok());
        assert!(read("history|--limit|5|verify").is_err());
        assert!(read("history|verify|a|--state-dir|b").is_err());
    }
}
