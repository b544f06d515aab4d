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
        if tell(&frame(&outcome, surroundings)).is_err() {
            return Outcome::done(String::new());
        }
        thread::sleep(every.saturating_sub(began.elapsed()));
    }
}

/// On a terminal each answer takes the place of the one before.
fn frame(outcome: &Outcome, surroundings: &Surroundings) -> String {
    let top = match surroundings.width {
        Some(_) => FROM_THE_TOP,
        None => "",
    };
    format!("{top}{}{}\n", outcome.out, outcome.err)
}

fn tell(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
