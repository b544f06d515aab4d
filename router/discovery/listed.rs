//! A watched file of targets: looked at twice a second by its name, so that a rename, a rewrite in place and a swapped
//! link are all seen, on any file system.
//!
//! A notification of the kernel would come sooner, but not from a network file system, and not for a link in the middle
//! of the path; a look costs one system call and is right everywhere.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};

use config::discovery;

use super::{Answer, Failure};
use crate::source::Stamp;

/// From one look to the next.
pub(super) const POLL: Duration = Duration::from_millis(500);
/// A file that changed so lately may change again within one tick of its clock: it is read again.
const YOUNG: Duration = Duration::from_secs(2);
/// More than any list needs, and little enough to read by mistake.
const LARGEST: u64 = 16 << 20;

/// The file as it was read last.
#[derive(Debug, Default)]
pub(super) struct Listed {
    read: Option<(Stamp, Result<Answer, Failure>)>,
}

impl Listed {
    /// What the file says now.
    pub(super) async fn look(&mut self, path: &Path) -> Result<Answer, Failure> {
        match self.current(path).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.read = None;
                Err(unreadable(&error))
            }
        }
    }

    async fn current(&mut self, path: &Path) -> io::Result<Result<Answer, Failure>> {
        let about = tokio::fs::metadata(path).await?;
        if about.is_dir() {
            return Ok(Err(Failure::File("this is a folder, not a file".into())));
        }
        if about.len() > LARGEST {
            return Ok(Err(Failure::File("it is larger than 16 MiB".into())));
        }
        let stamp = Stamp::of(&about);
        let modified = about.modified().ok();
        let age = modified.and_then(|at| SystemTime::now().duration_since(at).ok());
        if let Some((known, outcome)) = &self.read
            && is_settled(*known == stamp, age)
        {
            return Ok(outcome.clone());
        }
        let bytes = tokio::fs::read(path).await?;
        let outcome = understood(bytes);
        self.read = Some((stamp, outcome.clone()));
        Ok(outcome)
    }
}

/// Whether what was read is what is there: the same file, and of an age at which a change would show.
fn is_settled(is_same: bool, age: Option<Duration>) -> bool {
    is_same && age.is_some_and(|age| age > YOUNG)
}

fn understood(bytes: Vec<u8>) -> Result<Answer, Failure> {
    let text = String::from_utf8(bytes).map_err(|_| Failure::File("it is not UTF-8".into()))?;
    let targets = discovery::listed(&text).map_err(|error| Failure::File(error.to_string()))?;
    Ok(Answer {
        targets,
        lifetime: POLL,
    })
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::File(match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "permission to read it is denied".into(),
        _ => format!("it cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    struct Rig {
        folder: tempfile::TempDir,
        listed: Listed,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                listed: Listed::default(),
            }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("ecs.json")
        }

        async fn said(&mut self) -> String {
            let path = self.path();
            match self.listed.look(&path).await {
                Ok(answer) => {
                    let shown = answer.targets.iter().map(|it| it.address.to_string());
                    shown.collect::<Vec<_>>().join(" ")
                }
                Err(failure) => failure.to_string(),
            }
        }
    }

    fn list(port: u16) -> String {
        format!(r#"[{{"targets": ["10.0.0.1:{port}"]}}]"#)
    }

    #[tokio::test]
    async fn a_rewrite_a_rename_and_a_swapped_link_are_all_seen() {
        let mut rig = Rig::new();
        assert_eq!(rig.said().await, "there is no such file");
        for port in 1000..1020 {
            fs::write(rig.path(), list(port)).unwrap();
            assert_eq!(rig.said().await, format!("10.0.0.1:{port}"));
        }
        let other = rig.folder.path().join("other");
        fs::write(&other, list(2000)).unwrap();
        fs::rename(&other, rig.path()).unwrap();
        assert_eq!(rig.said().await, "10.0.0.1:2000");
        fs::remove_file(rig.path()).unwrap();
        fs::write(&other, list(3000)).unwrap();
        std::os::unix::fs::symlink(&other, rig.path()).unwrap();
        assert_eq!(rig.said().await, "10.0.0.1:3000");
        fs::remove_file(&other).unwrap();
        assert_eq!(rig.said().await, "there is no such file");
    }

    #[test]
    fn a_young_file_is_read_again_and_so_is_one_from_the_future() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert!(is_settled(true, seconds(3)));
        assert!(!is_settled(true, seconds(1)));
        assert!(!is_settled(true, None));
        assert!(!is_settled(false, seconds(3)));
    }

    #[tokio::test]
    async fn what_is_no_list_is_said_and_an_empty_list_is_one() {
        let mut rig = Rig::new();
        fs::write(rig.path(), "[").unwrap();
        assert!(rig.said().await.starts_with("EOF while parsing a list"));
        fs::write(rig.path(), b"\xff").unwrap();
        assert_eq!(rig.said().await, "it is not UTF-8");
        fs::write(rig.path(), "[]").unwrap();
        assert_eq!(rig.said().await, "");
    }
}
