//! `[[access_log]]`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, Size};

/// The path that means standard output.
pub const STDOUT: &str = "stdout";

/// What stands in a path for the name of a request's partition.
pub const PARTITION: &str = "{partition}";

/// One access log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// File to append to, or `stdout`. `{partition}` in it stands for the partition of a request's host, so that each partition has a
    /// file of its own, `logs/{partition}/access.json`; requests that could not be read are with the default partition.
    pub path: String,
    /// Form of a line.
    #[serde(default)]
    pub format: LogFormat,
    /// What happens when lines come faster than they can be written, or cannot be written at all.
    #[serde(default)]
    pub on_full: OnFull,
    /// When a file is put aside, as `{ size = "1GiB", keep = 10 }`: it gets the time behind its name,
    /// `access.json.20261126T150512.123456Z`, and is never touched again but to remove it. Absent: never; `kill -USR1` opens files anew.
    #[serde(default)]
    pub rotate: Option<Rotate>,
}

/// Form of an access-log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// The 34 fields of an Application Load Balancer's access log.
    Alb,
    /// One flat JSON object a line.
    #[default]
    Json,
    /// The same fields as labeled tab-separated values.
    Ltsv,
}

/// What happens when access-log lines come faster than they can be written, or cannot be written at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// No line is ever lost: the site waits.
    Block,
    /// The site goes on: lost lines are counted.
    #[default]
    Drop,
}

/// When a file of an access log is put aside; `size`, `every` or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Before a line would make it longer than this.
    #[serde(default)]
    pub size: Option<Size>,
    /// When so much time is over, whole seconds; counted from midnight UTC, so that `1h` is on the hour and `1d` at midnight.
    #[serde(default)]
    pub every: Option<Duration>,
    /// Files put aside that are kept; older ones are removed.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    pub keep: u32,
}

const fn ten() -> u32 {
    10
}

impl AccessLog {
    /// Whether each partition has a file of its own.
    pub fn by_partition(&self) -> bool {
        self.path.contains(PARTITION)
    }

    /// The file of `partition`.
    pub fn path_of(&self, partition: &str) -> String {
        self.path.replace(PARTITION, partition)
    }

    /// The folder above everything that a partition names.
    pub fn folder(&self) -> &Path {
        let above = Path::new(&self.path).ancestors().skip(1);
        let mut fixed = above.filter(|it| !it.to_string_lossy().contains(PARTITION));
        fixed.next().unwrap_or_else(|| Path::new(""))
    }
}
