//! `kanaria status --watch`: the same question again and again, until somebody interrupts it or stops reading.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::arguments::Remote;
use super::ask::{Question, ask};
use super::execute::Surroundings;
use super::{Code, Outcome};

/// To the first line, and everything behind it is gone.
const FROM_THE_TOP: &str = "\x1b[H\x1b[J";

/// Asks `question` every so often. A router that does not answer is told, and asked again.
pub(super) fn watch(
    question: impl Fn() -> Question,
    every: Duration,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Outcome {
    loop {
        let began = Instant::now();
        let present = Surroundings {
            now: Timestamp::now(),
            ..surroundings.clone()
        };
        let outcome = ask(question(), remote, &present);
        if matches!(outcome.code, Code::Denied | Code::Usage | Code::Failed) {
            return outcome;
        }
        if tell(&outcome, remote.json, surroundings).is_err() {
            return Outcome::done(String::new());
        }
        thread::sleep(every.saturating_sub(began.elapsed()));
    }
}

fn tell(outcome: &Outcome, json: bool, surroundings: &Surroundings) -> io::Result<()> {
    let (out, err) = frame(outcome, json, surroundings);
    io::stderr().lock().write_all(err.as_bytes())?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()
}

/// For standard output and standard error. On a terminal each answer takes the place of the one before, complaints with
/// it; a program that reads gets answers alone.
fn frame(outcome: &Outcome, json: bool, surroundings: &Surroundings) -> (String, String) {
    let Outcome { out, err, .. } = outcome;
    match surroundings.width {
        Some(_) if !json => (format!("{FROM_THE_TOP}{out}{err}\n"), String::new()),
        _ if json => (out.clone(), err.clone()),
        _ => (format!("{out}\n"), err.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::tests::plain;
    use super::*;

    #[test]
    fn a_complaint_is_shown_on_a_terminal_and_is_no_answer_for_a_program() {
        let outcome = Outcome {
            code: Code::Unreachable,
            out: "{}\n".into(),
            err: "kanaria: no answer\n".into(),
        };
        let terminal = Surroundings {
            width: Some(80),
            ..plain()
        };
        let (out, err) = frame(&outcome, false, &terminal);
        assert!(out.contains("no answer") && err.is_empty(), "{out}{err}");
        for (json, to) in [(true, &terminal), (true, &plain()), (false, &plain())] {
            let (out, err) = frame(&outcome, json, to);
            assert_eq!((out.trim_end(), &*err), ("{}", "kanaria: no answer\n"));
        }
    }
}
