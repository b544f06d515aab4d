//! `kanaria shadow run`: recorded requests, sent once more.

use std::path::PathBuf;

use super::arguments::Rerun;
use super::words::clean;
use super::{Code, Invalid, Outcome, Program, offline};
use crate::rerun::Summary;

/// Why nothing was sent, or not all of it.
#[derive(Debug)]
pub enum NotRerun {
    /// The file of the pool is not taken.
    Invalid(PathBuf, Invalid),
    /// Anything else.
    Failed(String),
}

/// Carries it out. A request without an answer, or with one of 500 and above, fails the command.
pub(super) fn rerun(program: &Program, rerun: &Rerun, json: bool) -> Outcome {
    let summary = match (program.rerun)(rerun) {
        Ok(summary) => summary,
        Err(NotRerun::Invalid(file, invalid)) => return offline::invalid(&file, &invalid, json),
        Err(NotRerun::Failed(why)) => return Outcome::failed(Code::Failed, &clean(&why)),
    };
    let is_bad = |status: &u16| *status >= 500;
    let bad = !summary.failed.is_empty() || summary.statuses.keys().any(is_bad);
    Outcome {
        code: if bad { Code::Failed } else { Code::Done },
        out: if json {
            offline::pretty(&serde_json::json!(summary))
        } else {
            text(&summary, &rerun.against)
        },
        err: String::new(),
    }
}

fn text(summary: &Summary, pool: &str) -> String {
    let rate = summary.sent as f64 / summary.took_s.max(0.001);
    let mut text = format!(
        "{} requests to pool {} in {:.1} s, {rate:.1} a second\n",
        summary.sent,
        clean(pool),
        summary.took_s
    );
    for (status, n) in &summary.statuses {
        text.push_str(&format!("  {status}: {n}\n"));
    }
    for (why, n) in &summary.failed {
        text.push_str(&format!("  {why}: {n}\n"));
    }
    if let (Some(median), Some(p99)) = (summary.median_ms, summary.p99_ms) {
        text.push_str(&format!(
            "  {median:.1} ms at the median, {p99:.1} ms at p99\n"
        ));
    }
    text
}
