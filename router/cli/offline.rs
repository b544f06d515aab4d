//! Verbs that need no router.

mod replay;

use std::path::Path;

use serde_json::{Value, json};

use super::words::{clean, count, shell};
use super::{Code, Invalid, Outcome, Program, Summary, Verified};
pub(super) use replay::replay;

/// A JSON document as it is printed.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// `kanaria check`.
pub(super) fn check(program: &Program, file: &Path, json: bool) -> Outcome {
    match (program.check)(file) {
        Ok(summary) if json => {
            let mut document = json!(summary);
            document["ok"] = true.into();
            Outcome::done(pretty(&document))
        }
        Ok(summary) => Outcome::done(valid(file, &summary)),
        Err(invalid) => self::invalid(file, &invalid, json),
    }
}

fn valid(file: &Path, summary: &Summary) -> String {
    format!(
        "{} is valid: {}, {}, {}\nconfig digest {}\n",
        file.display(),
        count(summary.listeners.len(), "listener"),
        count(summary.pools.len(), "pool"),
        count(summary.routes.len(), "route"),
        summary.digest,
    )
}

/// A file that is not what it should be: every problem, then how many.
pub(super) fn invalid(file: &Path, invalid: &Invalid, json: bool) -> Outcome {
    let problems = || json!({"ok": false, "problems": invalid.problems});
    Outcome {
        code: Code::Invalid,
        out: json
            .then(problems)
            .as_ref()
            .map_or_else(String::new, pretty),
        err: invalid.complaint(file),
    }
}

/// `kanaria history verify`: the journal at `place`, or in the `state_dir` that `config` names.
pub(super) fn verify(
    program: &Program,
    place: Option<&Path>,
    config: &Path,
    json: bool,
) -> Outcome {
    let journal = match place {
        Some(place) => place.to_owned(),
        None => match (program.state_dir)(config) {
            Ok(folder) => folder,
            Err(invalid) => return self::invalid(config, &invalid, json),
        },
    };
    match (program.verify)(&journal) {
        Ok(verified) if json => {
            let mut document = json!(verified);
            document["ok"] = true.into();
            Outcome::done(pretty(&document))
        }
        Ok(verified) => Outcome::done(intact(&journal, &verified)),
        Err(broken) => self::broken(&journal, &broken, json),
    }
}

fn intact(journal: &Path, verified: &Verified) -> String {
    format!(
        "the journal in {} is intact: {}, revisions {} to {}, the last one at {}\n",
        journal.display(),
        count(verified.entries, "change"),
        verified.first_revision,
        verified.last_revision,
        clean(&verified.last_time),
    )
}

fn broken(journal: &Path, broken: &[String], json: bool) -> Outcome {
    let mut outcome = Outcome::failed(
        Code::Failed,
        &format!(
            "the journal in {} is not intact: {}",
            journal.display(),
            count(broken.len(), "fault")
        ),
    );
    for fault in broken {
        outcome.err.push_str(&format!("  {}\n", clean(fault)));
    }
    if json {
        outcome.out = pretty(&json!({"ok": false, "problems": broken}));
    }
    outcome
}

/// `kanaria completions`.
pub(super) fn completions(mut command: clap::Command, kind: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(kind, &mut command, "kanaria", &mut script);
    Outcome::done(String::from_utf8_lossy(&script).into_owned())
}

/// `kanaria man`: the program and every verb, in one page after another.
pub(super) fn manual(mut command: clap::Command) -> Outcome {
    command.build();
    let mut pages = Vec::new();
    let verbs = command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help");
    for page in std::iter::once(command.clone()).chain(verbs.cloned()) {
        if let Err(error) = clap_mangen::Man::new(page).render(&mut pages) {
            return Outcome::failed(Code::Failed, &error.to_string());
        }
    }
    Outcome::done(String::from_utf8_lossy(&pages).into_owned())
}

/// A command to type next.
pub(super) fn command(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| shell(word)).collect();
    format!("kanaria {}", words.join(" "))
}
