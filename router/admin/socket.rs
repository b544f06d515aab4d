//! The socket of the admin API: TCP, or a unix socket that only its owner may open.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who can reach the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Programs of this machine, and pages in its browsers.
    Loopback,
    /// Everybody: nobody without a token gets in.
    Network,
    /// Who may open the file.
    Unix,
}

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener, SocketAddr),
    /// A unix socket; its file goes with it.
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket, removed at the end unless another process goes on with it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    is_anothers: Arc<AtomicBool>,
}

/// A socket that cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Neither an address nor a unix socket.
    #[error(
        "admin.bind `{0}` is not an address; write 127.0.0.1:9900 or unix:/run/kanaria/admin.sock"
    )]
    Form(String),
    /// The system says no.
    #[error("admin.bind `{bind}` cannot be bound: {error}")]
    System {
        /// The address.
        bind: String,
        /// What the system says.
        error: io::Error,
    },
    /// Somebody answers there.
    #[error("admin.bind `{0}` is in use: another process answers there")]
    InUse(String),
}

impl Socket {
    /// Binds `admin.bind`. A socket file that nobody answers behind is taken over.
    pub fn bind(bind: &str) -> Result<Self, BindError> {
        let system = |error| BindError::System {
            bind: bind.to_owned(),
            error,
        };
        if let Some(path) = bind.strip_prefix("unix:") {
            return Self::bind_unix(bind, Path::new(path));
        }
        let address: SocketAddr = bind.parse().map_err(|_| BindError::Form(bind.to_owned()))?;
        let listener = TcpListener::bind(address).map_err(system)?;
        listener.set_nonblocking(true).map_err(system)?;
        let address = listener.local_addr().map_err(system)?;
        Ok(Self::Tcp(listener, address))
    }

    fn bind_unix(bind: &str, path: &Path) -> Result<Self, BindError> {
        let system = |error| BindError::System {
            bind: bind.to_owned(),
            error,
        };
        if is_socket(path) {
            if UnixStream::connect(path).is_ok() {
                return Err(BindError::InUse(bind.to_owned()));
            }
            fs::remove_file(path).map_err(system)?;
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        let file = SocketFile::new(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(system)?;
        listener.set_nonblocking(true).map_err(system)?;
        Ok(Self::Unix(listener, file))
    }

    /// Takes over a socket that another process had bound.
    pub fn adopt_tcp(listener: TcpListener) -> Result<Self, BindError> {
        let system = |error| BindError::System {
            bind: "of the old process".into(),
            error,
        };
        listener.set_nonblocking(true).map_err(system)?;
        let address = listener.local_addr().map_err(system)?;
        Ok(Self::Tcp(listener, address))
    }

    /// Takes over a unix socket that another process had bound to `bind`, with its file.
    pub fn adopt_unix(listener: UnixListener, bind: &str) -> Self {
        let path = bind.strip_prefix("unix:").unwrap_or(bind);
        Self::Unix(listener, SocketFile::new(Path::new(path)))
    }

    /// A copy of the descriptor. It listens for as long as one of them is open.
    pub fn share(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener, _) => listener.try_clone().map(OwnedFd::from),
            Self::Unix(listener, _) => listener.try_clone().map(OwnedFd::from),
        }
    }

    /// Whoever stores true here leaves the socket's file to another process.
    pub fn is_anothers(&self) -> Arc<AtomicBool> {
        match self {
            Self::Tcp(..) => Arc::default(),
            Self::Unix(_, file) => Arc::clone(&file.is_anothers),
        }
    }

    /// Who can reach it.
    pub fn door(&self) -> Door {
        match self {
            Self::Unix(..) => Door::Unix,
            Self::Tcp(_, address) if address.ip().to_canonical().is_loopback() => Door::Loopback,
            Self::Tcp(..) => Door::Network,
        }
    }
}

/// As `admin.bind` would name it, with the port that was taken.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => address.fmt(f),
            Self::Unix(_, file) => write!(f, "unix:{}", file.path.display()),
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_anothers: Arc::default(),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_anothers.load(Ordering::Acquire) {
            // Gone already is as good.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_is_private_and_its_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let bind = format!("unix:{}", path.display());
        let socket = Socket::bind(&bind).unwrap();
        assert_eq!(socket.to_string(), bind);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(Socket::bind(&bind), Err(BindError::InUse(_))));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_another_process_goes_on_with_keeps_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let bind = format!("unix:{}/admin.sock", folder.path().display());
        let old = Socket::bind(&bind).unwrap();
        let new = Socket::adopt_unix(old.share().unwrap().into(), &bind);
        old.is_anothers().store(true, Ordering::Release);
        drop(old);
        assert!(UnixStream::connect(folder.path().join("admin.sock")).is_ok());
        drop(new);
        assert!(!folder.path().join("admin.sock").exists());
    }

    #[test]
    fn a_stale_socket_file_is_taken_over_and_another_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Socket::bind(&format!("unix:{}", path.display())).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(Socket::bind(&format!("unix:{}", path.display())).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_taken_port_is_an_error_at_once() {
        let first = Socket::bind("127.0.0.1:0").unwrap();
        assert_eq!(first.door(), Door::Loopback);
        let error = Socket::bind(&first.to_string()).unwrap_err().to_string();
        assert!(error.contains("cannot be bound"), "{error}");
    }
}
