//! `kanaria audit session`: whether a client can log in at one pool and out at the other, asked of the router as any client asks.

use std::path::Path;

use config::model::Flag;
use serde_json::json;

use super::arguments::{Remote, Session};
use super::execute::Surroundings;
use super::table::Table;
use super::words::clean;
use super::{Code, Outcome, Program, offline};
use crate::audit::{self, Door, Fault, Report, Scenario, Way};
use crate::client::Trust;

/// Carries out `kanaria audit session`.
pub(super) fn session(
    program: &Program,
    session: &Session,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Outcome {
    let flags = match (program.flags)(&session.config, &session.route) {
        Ok(Some(flags)) => flags,
        Ok(None) => {
            let (file, route) = (session.config.display(), &session.route);
            return Outcome::failed(Code::Failed, &format!("{file} has no route `{route}`"));
        }
        Err(invalid) => return offline::invalid(&session.config, &invalid, remote.json),
    };
    let ways = ways(&flags, &session.values);
    let scenario = match scenario(&session.file, &ways) {
        Ok(scenario) => scenario,
        Err(why) => return unread(&why, &flags, &ways),
    };
    let door = match door(session, &scenario, remote) {
        Ok(door) => door,
        Err(why) => return Outcome::failed(Code::Usage, &why),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let played = match runtime {
        Ok(runtime) => runtime.block_on(audit::play(&scenario, &ways, &door)),
        Err(error) => return Outcome::failed(Code::Failed, &error.to_string()),
    };
    match played {
        Ok(report) => told(&report, remote.json, surroundings),
        Err(failure) => Outcome::failed(Code::Failed, &failure.to_string()),
    }
}

/// The flags whose value is known, as ways to their pools.
fn ways(flags: &[Flag], values: &[(String, String)]) -> Vec<Way> {
    let way = |flag: &Flag| {
        let given = values.iter().find(|(name, _)| *name == flag.name);
        let given = given.map(|(_, value)| value.clone());
        Some(Way {
            pool: flag.pool.clone(),
            flag: flag.name.clone(),
            header: flag.header.clone(),
            cookie: flag.cookie.clone(),
            value: given.or_else(|| flag.value.clone())?,
            reveal: flag.reveal,
        })
    };
    flags.iter().filter_map(way).collect()
}

fn scenario(file: &Path, ways: &[Way]) -> Result<Scenario, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}\n"))?;
    let pools: Vec<_> = ways.iter().map(|way| way.pool.as_str()).collect();
    let environment = |name: &str| std::env::var(name).ok();
    audit::read(&text, &pools, &environment).map_err(|faults| {
        let tell = |fault: &Fault| format!("{name}:{fault}\n");
        faults.iter().map(tell).collect()
    })
}

/// Every fault of the scenario, and what would make a flag one that can be used.
fn unread(why: &str, flags: &[Flag], ways: &[Way]) -> Outcome {
    let mut err = why.to_owned();
    for flag in flags {
        if !ways.iter().any(|way| way.flag == flag.name) {
            err.push_str(&format!(
                "  flag `{}` takes signed values: --value {}=VALUE, with one of `kanaria flag mint`\n",
                flag.name, flag.name
            ));
        }
    }
    Outcome {
        code: Code::Invalid,
        out: String::new(),
        err,
    }
}

fn door(session: &Session, scenario: &Scenario, remote: &Remote) -> Result<Door, String> {
    let url = session.url.as_ref().or(scenario.url.as_ref());
    let url = url.ok_or("where does the router listen? `url` in the scenario, or --url URL")?;
    let trust = Trust {
        ca: remote.admin_ca.clone(),
        ..Trust::default()
    };
    Door::of(url, || trust.connector())
}

fn told(report: &Report, json: bool, surroundings: &Surroundings) -> Outcome {
    let out = match json {
        true => offline::pretty(&json!(report)),
        false => text(report, surroundings),
    };
    let (code, err) = match &report.why {
        None => (Code::Done, String::new()),
        Some(why) => (Code::Failed, format!("kanaria: {}\n", clean(why))),
    };
    Outcome { code, out, err }
}

fn text(report: &Report, surroundings: &Surroundings) -> String {
    let titles = ["STEP", "POOL", "REQUEST", "STATUS", "COOKIES SENT", "WHAT"];
    let mut table = Table::new(&titles, &[0, 3]);
    for step in &report.steps {
        table.row(vec![
            step.step.to_string(),
            clean(&step.pool),
            clean(&step.request),
            step.status.to_string(),
            clean(&step.sent.join(", ")),
            clean(&step.name),
        ]);
    }
    let mut text = table.print(surroundings.width);
    for step in &report.steps {
        for ignored in &step.ignored {
            let line = format!("  step {}: browsers do not take {ignored}\n", step.step);
            text.push_str(&clean(line.trim_end()));
            text.push('\n');
        }
    }
    if report.passed {
        text.push_str("\nevery step came out as it must\n");
    }
    text
}
