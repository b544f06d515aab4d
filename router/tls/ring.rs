//! The keys of tickets: read from a file that a fleet shares, the newest first, and made when there is none.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::certificate::shown;

/// Bytes of a key that is made here; one that is given has at least as many as guessing takes.
const MADE: usize = 48;
/// Bytes that a key has at least.
const LEAST: usize = 32;
/// Keys that a file has at most.
const MOST: usize = 16;
/// More than so many take.
const LARGEST: u64 = 4096;

/// Secrets that keys are made of. The first one seals, all open.
pub(super) struct Ring {
    secrets: Vec<Vec<u8>>,
    /// What sealed before the file was replaced, when it is not in the file any more.
    previous: Option<Vec<u8>>,
    unwritten: bool,
}

impl Ring {
    /// The ring in the file at `path`; a new one, not written yet, when there is no file.
    pub(super) fn begin(path: &Path) -> Result<Self, String> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::random(),
            _ => Self::read(path),
        }
    }

    /// The ring in the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let about = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "{} has mode {mode:03o}; only its owner may read it: chmod 600",
                shown(path)
            ));
        }
        if about.len() > LARGEST {
            return Err(format!("{} is larger than {LARGEST} bytes", shown(path)));
        }
        let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
        Self::parse(&bytes).map_err(|wrong| format!("{} {wrong}", shown(path)))
    }

    /// Writes a ring that is not written yet to `path`; what another router of the fleet has written meanwhile counts.
    pub(super) fn settle(&mut self, path: &Path) -> Result<(), String> {
        if !std::mem::take(&mut self.unwritten) {
            return Ok(());
        }
        match write(path, &self.secrets[0]) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                *self = Self::read(path)?;
                Ok(())
            }
            Err(error) => Err(format!(
                "{} cannot be made, so only this router knows the key of its tickets: {error}",
                shown(path)
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Whether the other one has the same secrets in its file.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.secrets == other.secrets
    }

    fn random() -> Result<Self, String> {
        let mut secret = vec![0; MADE];
        OsRng
            .try_fill_bytes(&mut secret)
            .map_err(|error| format!("no random bytes: {error}"))?;
        Ok(Self {
            unwritten: true,
            ..Self::of(vec![secret])
        })
    }

    const fn of(secrets: Vec<Vec<u8>>) -> Self {
        Self {
            secrets,
            previous: None,
            unwritten: false,
        }
    }

    /// The ring that follows `self`: what sealed until now opens for as long as the next file stands.
    pub(super) fn followed_by(&self, next: Self) -> Self {
        let sealed = self.secrets.first().cloned();
        let previous = sealed.filter(|secret| !next.secrets.contains(secret));
        Self { previous, ..next }
    }

    /// The secrets, the one that seals first.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.secrets.iter().chain(&self.previous).map(Vec::as_slice)
    }

    /// Lines of base64 or of hexadecimal digits; or nginx's file, which is the bytes of one key.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        let secrets = match std::str::from_utf8(bytes) {
            Ok(text) if bytes.iter().all(is_text) => text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(line)
                .collect::<Result<Vec<_>, _>>()?,
            _ => vec![bytes.to_vec()],
        };
        if secrets.is_empty() {
            return Err("has no key in it; `openssl rand -base64 48` prints one".into());
        }
        if secrets.len() > MOST {
            return Err(format!(
                "has {} keys; at most {MOST} are of use",
                secrets.len()
            ));
        }
        if let Some(short) = secrets.iter().map(Vec::len).find(|length| *length < LEAST) {
            return Err(format!(
                "has a key of {short} bytes; a key has at least {LEAST}, as `openssl rand -base64 48` prints them"
            ));
        }
        Ok(Self::of(secrets))
    }
}

fn line(line: &str) -> Result<Vec<u8>, String> {
    let is_hex = line.len().is_multiple_of(2) && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex {
        let digits = line.as_bytes().chunks(2);
        let bytes = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(pair, 16).unwrap_or_default()
        });
        return Ok(bytes.collect());
    }
    STANDARD
        .decode(line)
        .map_err(|_| "has a line that is neither base64 nor hexadecimal".into())
}

/// Writes a file beside it first: nobody reads half a key.
fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    writeln!(file, "{}", STANDARD.encode(secret))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", shown(path))
}

/// Keys are not shown.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring of {}", self.secrets().count())
    }
}

#[cfg(test)]
mod tests;
