//! The `kanaria` command: reads the command line, starts what it asks for, ends with its exit code.

mod joints;

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use router::cli::{Arguments, Code, Outcome, Surroundings, Verb, execute};
use tracing_subscriber::EnvFilter;

/// Many small short-lived pieces a request: measured against the system's in docs/benchmarks.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(told) => {
            let wrong = told.use_stderr();
            // A closed pipe does not change what was typed.
            let _ = told.print();
            return if wrong { Code::Usage } else { Code::Done }.into();
        }
    };
    if let Err(error) = start_log(&arguments.verb) {
        return tell(Outcome::failed(Code::Usage, &format!("{error:#}")));
    }
    tell(execute(arguments, &joints::PROGRAM, &surroundings()))
}

fn surroundings() -> Surroundings {
    let terminal = std::io::stdout().is_terminal();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let called = std::env::args()
        .next()
        .filter(|called| called.contains('/'));
    Surroundings {
        admin: variable("KANARIA_ADMIN"),
        token: variable("KANARIA_TOKEN"),
        color: terminal && variable("NO_COLOR").is_none(),
        width: rustix::termios::tcgetwinsize(std::io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|&columns| terminal && columns > 0),
        now: jiff::Timestamp::now(),
        called: called.unwrap_or_else(|| "kanaria".into()),
    }
}

/// Prints an outcome; a reader that went away has what it wanted.
fn tell(outcome: Outcome) -> ExitCode {
    let told = std::io::stdout().lock().write_all(outcome.out.as_bytes());
    let mut err = std::io::stderr().lock();
    // What was carried out stays carried out when standard error is closed.
    let _ = err.write_all(outcome.err.as_bytes());
    match told {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && outcome.code == Code::Done => {
            let _ = writeln!(err, "kanaria: done, but it cannot be told: {error}");
            Code::Failed.into()
        }
        _ => outcome.code.into(),
    }
}

/// Lines of text with level and fields, on standard error; `KANARIA_LOG` chooses which.
fn start_log(verb: &Verb) -> anyhow::Result<()> {
    let default = match verb {
        Verb::Run { .. } => "info",
        // Its state is always new, and what is broken in it is broken on purpose.
        Verb::Demo(_) => "error",
        _ => return Ok(()),
    };
    let filter = std::env::var("KANARIA_LOG").unwrap_or_default();
    let filter = if filter.is_empty() { default } else { &filter };
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("KANARIA_LOG `{filter}` is not a filter, as in info,router=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .try_init()
        .map_err(anyhow::Error::from_boxed)
}
