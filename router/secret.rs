//! The secret that the keys of buckets come from: read from the file or its value, made when there is none.
//!
//! It is never logged, and never replaced: another secret would give every user another place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use sha2::{Digest, Sha256};

/// Length of the secret.
const LENGTH: usize = 32;

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short to be one.
    #[error(
        "server.secret has {0} characters; give 64 hex digits, or at least 32 random characters"
    )]
    Short(usize),
    /// Not what this program writes.
    #[error("server.secret_file `{path}` has {length} bytes; it must have {LENGTH} random ones")]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Others may read it.
    #[error(
        "server.secret_file `{path}` has mode {mode:03o}; only its owner may read it: chmod 600"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It cannot be read.
    #[error("server.secret_file `{path}` cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is none, and none can be made.
    #[error("server.secret_file `{path}` cannot be made: {error}")]
    Make {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The secret given as `server.secret`: 64 hex digits are the bytes themselves, anything else of 32 characters or more is hashed.
pub fn from_text(text: &str) -> Result<[u8; LENGTH], SecretError> {
    if let Some(bytes) = from_hex(text) {
        return Ok(bytes);
    }
    let n_characters = text.chars().count();
    if n_characters < LENGTH {
        return Err(SecretError::Short(n_characters));
    }
    Ok(Sha256::digest(text).into())
}

fn from_hex(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(text.get(2 * digits..2 * digits + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The secret in the file at `path`, which is made with mode 0600 when it is not there.
pub fn from_file(path: &Path) -> Result<[u8; LENGTH], SecretError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            private(path, metadata.permissions().mode())?;
            read(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(SecretError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

fn private(path: &Path, mode: u32) -> Result<(), SecretError> {
    let mode = mode & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(SecretError::Open {
        path: path.to_owned(),
        mode,
    })
}

fn read(path: &Path) -> Result<[u8; LENGTH], SecretError> {
    let bytes = fs::read(path).map_err(|error| SecretError::Read {
        path: path.to_owned(),
        error,
    })?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| SecretError::Length {
            path: path.to_owned(),
            length: bytes.len(),
        })
}

fn make(path: &Path) -> Result<[u8; LENGTH], SecretError> {
    write_new(path).map_err(|error| SecretError::Make {
        path: path.to_owned(),
        error,
    })?;
    // Of two routers that start at once on one file, the first one's secret is there: both read it.
    read(path)
}

/// Writes the whole file under another name and gives it its own only if that is still free.
fn write_new(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut bytes = [0; LENGTH];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(refused) => Err(refused.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_made_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/secret");
        let made = from_file(&path).unwrap();
        assert_ne!(made, [0; LENGTH]);
        assert_eq!(from_file(&path).unwrap(), made);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn routers_that_start_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| from_file(&path).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(made.iter().all(|secret| *secret == made[0]));
    }

    #[track_caller]
    fn refused(bytes: &[u8], mode: u32, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let text = from_file(&path).unwrap_err().to_string();
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_file_of_another_length_or_open_to_others_is_refused() {
        refused(b"short", 0o600, "has 5 bytes; it must have 32 random ones");
        refused(b"", 0o600, "has 0 bytes; it must have 32 random ones");
        refused(
            &[7; 32],
            0o644,
            "has mode 644; only its owner may read it: chmod 600",
        );
    }

    #[test]
    fn a_value_is_hex_or_long_enough_to_be_hashed() {
        assert_eq!(from_text(&"0f".repeat(32)).unwrap(), [15; 32]);
        assert_ne!(from_text(&"x".repeat(32)).unwrap(), [0; 32]);
        let short = from_text("changeme").unwrap_err().to_string();
        assert!(short.contains("has 8 characters"), "{short}");
    }
}
