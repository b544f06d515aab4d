//! How long a step was held, in a small file: what a restart goes on from.
//!
//! It is not synced and may be lost; then the step begins anew, which is safe.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::live::LiveRamp;
use serde::{Deserialize, Serialize};

/// How long a step was held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    attempt: u32,
    step: usize,
    /// Tells ramps apart that have the same numbers, of a route that was taken out of the file and put back.
    #[serde(default)]
    since: u64,
    held_ms: u64,
}

impl Progress {
    fn none(ramp: &LiveRamp) -> Self {
        Self {
            attempt: ramp.attempt,
            step: ramp.step,
            since: ramp.since,
            held_ms: 0,
        }
    }

    /// Whether it is about the step that `ramp` is at.
    pub(super) const fn is_of(&self, ramp: &LiveRamp) -> bool {
        self.attempt == ramp.attempt && self.step == ramp.step && self.since == ramp.since
    }

    /// After this much more time.
    pub(super) fn after(&self, passed: Duration) -> Self {
        Self {
            held_ms: self.held_ms.saturating_add(passed.as_millis() as u64),
            ..self.clone()
        }
    }

    pub(super) const fn held(&self) -> Duration {
        Duration::from_millis(self.held_ms)
    }
}

fn path(folder: &Path, route: &str) -> PathBuf {
    folder.join(format!("{route}.json"))
}

/// What was written of the step that `ramp` is at, or nothing held yet.
pub(super) async fn read(folder: &Path, route: &str, ramp: &LiveRamp) -> Progress {
    let none = Progress::none(ramp);
    let text = tokio::fs::read(path(folder, route)).await;
    let known = text
        .ok()
        .and_then(|text| serde_json::from_slice::<Progress>(&text).ok());
    known.filter(|known| known.is_of(ramp)).unwrap_or(none)
}

/// Writes it down as a whole: a crash leaves the one before.
pub(super) async fn write(folder: &Path, route: &str, progress: &Progress) -> io::Result<()> {
    let text = serde_json::to_vec(progress)?;
    let aside = folder.join(format!("{route}.json.new"));
    if tokio::fs::write(&aside, &text).await.is_err() {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&aside, &text).await?;
    }
    tokio::fs::rename(aside, path(folder, route)).await
}

#[cfg(test)]
mod tests {
    use config::live::{Phase, Planned};

    use super::*;

    fn ramp(attempt: u32, step: usize) -> LiveRamp {
        LiveRamp {
            canary: "ecs".into(),
            attempt,
            phase: Phase::Running,
            step,
            since: 1,
            plan: vec![
                Planned {
                    share: 100,
                    hold_s: 60
                };
                3
            ],
        }
    }

    #[tokio::test]
    async fn a_restart_goes_on_in_the_same_step_and_begins_another_anew() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("ramp");
        let held = Progress::none(&ramp(1, 1)).after(Duration::from_secs(40));
        write(&folder, "web", &held).await.unwrap();
        assert_eq!(read(&folder, "web", &ramp(1, 1)).await, held);
        let put_back = LiveRamp {
            since: 9,
            ..ramp(1, 1)
        };
        for other in [ramp(1, 2), ramp(2, 1), put_back] {
            assert_eq!(read(&folder, "web", &other).await.held(), Duration::ZERO);
        }
        std::fs::write(path(&folder, "web"), "{").unwrap();
        assert_eq!(
            read(&folder, "web", &ramp(1, 1)).await.held(),
            Duration::ZERO
        );
    }
}
