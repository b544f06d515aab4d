//! When a file of a log is put aside, under which name, and which of those are removed. Pure but for `tidy`.
//!
//! A file that was put aside is never renamed again, so whoever reads it may go on.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use config::model::Rotate;
use jiff::Timestamp;

/// The form of the time behind the name of a file that was put aside, in UTC; such names sort by time.
const STAMP: &str = "%Y%m%dT%H%M%S.%6fZ";

/// An example of it.
const EXAMPLE: &[u8] = b"20261126T150512.123456Z";

/// Which stretch of `rotate.every` a moment lies in; stretches begin at whole multiples since 1970, in UTC.
pub(super) fn stretch(rotate: Option<&Rotate>, time: SystemTime) -> u64 {
    let every = rotate.and_then(|rotate| rotate.every);
    let seconds = every.map_or(0, |every| every.0.as_secs());
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().checked_div(seconds).unwrap_or(0)
}

/// The name under which the file at `path` is put aside at `time`.
pub(super) fn aside(path: &Path, time: SystemTime) -> PathBuf {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", time.strftime(STAMP)));
    name.into()
}

/// Removes the oldest files that were put aside for `path`, but for `keep`.
pub(super) fn tidy(path: &Path, keep: usize) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default();
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut old: Vec<_> = entries
        .map(|entry| entry.file_name())
        .filter(|entry| is_aside(entry, name))
        .collect();
    old.sort_unstable();
    let n_left = old.len().saturating_sub(keep);
    old[..n_left]
        .iter()
        .try_for_each(|name| match fs::remove_file(folder.join(name)) {
            // Another process that writes the same log, for a while, may have been quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        })
}

/// Whether `entry` is the name of a file that was put aside for one called `name`.
fn is_aside(entry: &OsStr, name: &OsStr) -> bool {
    let entry = entry.as_encoded_bytes();
    let stamp = entry
        .strip_prefix(name.as_encoded_bytes())
        .and_then(|rest| rest.strip_prefix(b"."));
    let alike = |(byte, example): (&u8, &u8)| {
        byte == example || (byte.is_ascii_digit() && example.is_ascii_digit())
    };
    stamp.is_some_and(|stamp| stamp.len() == EXAMPLE.len() && stamp.iter().zip(EXAMPLE).all(alike))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    #[test]
    fn names_of_files_put_aside_say_when_and_sort_by_it() {
        let path = Path::new("logs/access.json");
        let name = aside(path, at(1_795_219_571_000_042));
        assert_eq!(name, Path::new("logs/access.json.20261121T000611.000042Z"));
        assert!(name < aside(path, at(1_795_219_571_000_043)));
        assert!(is_aside(
            name.file_name().unwrap(),
            OsStr::new("access.json")
        ));
    }

    #[test]
    fn only_what_was_put_aside_is_removed_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let others = [
            "a.json",
            "a.json.1",
            "a.json.20261121T000611.000042Z.gz",
            "b.json.20261121T000611.000042Z",
            "a.json.20261121X000611.000042Z",
        ];
        let old: Vec<_> = (0..4)
            .map(|n| aside(&path, at(1_795_219_571_000_000 + n)))
            .collect();
        for path in &old {
            fs::write(path, "").unwrap();
        }
        for name in others {
            fs::write(folder.path().join(name), "").unwrap();
        }
        tidy(&path, 2).unwrap();
        let there: Vec<_> = old.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [false, false, true, true]);
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn stretches_of_a_day_begin_at_midnight_in_utc() {
        let rotate: Rotate = serde_json::from_str(r#"{ "every": "1d" }"#).unwrap();
        let midnight = 1_795_219_200_000_000;
        let days = [midnight - 1, midnight, midnight + 86_399_999_999]
            .map(|micros| stretch(Some(&rotate), at(micros)));
        assert_eq!((days[0] + 1, days[1]), (days[1], days[2]));
        assert_eq!(stretch(None, at(midnight)), 0);
    }
}
