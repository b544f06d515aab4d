//! The old process: waits for a new one, one at a time, and goes only when that one accepts traffic.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::line::Line;
use super::{Answer, Hello, PROTOCOL, Piece, SOCKET, Word};

/// A new process has this long to introduce itself.
const HELLO: Duration = Duration::from_secs(5);
/// A new process that was told to go has this long until it serves; all that it still does is to start threads. Changes
/// wait meanwhile, and rollbacks do.
const SERVING: Duration = Duration::from_secs(5);

/// The socket on which a new process asks.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
}

/// A new process that asks to take over.
pub struct Offer {
    line: Line,
    version: String,
}

/// The process that took over.
#[derive(Debug)]
pub struct Successor {
    /// Its number, when the system tells it.
    pub pid: Option<i32>,
    /// Its version.
    pub version: String,
    /// Whether it goes on with the admin socket.
    pub keeps_admin: bool,
}

impl Door {
    /// Opens it in the state folder `folder`, which nobody else uses.
    ///
    /// # Errors
    /// When it cannot be made there; then nobody can take over.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener })
    }

    /// The one that an old process had.
    ///
    /// # Errors
    /// When it cannot be waited on.
    pub fn inherit(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let listener = UnixListener::from_std(listener)?;
        Ok(Self { listener })
    }

    /// The next process that asks, and says what it must.
    pub async fn knock(&self) -> Offer {
        loop {
            let line = match self.listener.accept().await {
                Ok((stream, _)) => Line::new(stream),
                Err(error) => {
                    tracing::warn!("the upgrade socket cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !line.is_trusted() {
                tracing::warn!("a process of another user asked to take over");
                continue;
            }
            match timeout(HELLO, line.hear::<Hello>()).await {
                Ok(Ok(hello)) if hello.protocol == PROTOCOL => {
                    let version = hello.version;
                    return Offer { line, version };
                }
                Ok(Ok(_)) => {
                    let why = "its version of the hand-over is another one; restart instead";
                    let _ = line.say(&Answer::Refused(why.into())).await;
                }
                _ => tracing::warn!("a process asked to take over and said nothing"),
            }
        }
    }

    /// Sends everybody away who asks; never returns.
    pub async fn turn_away(&self) {
        loop {
            self.knock().await.refuse("an upgrade is under way").await;
        }
    }

    /// Nobody can ask any more.
    pub fn close(folder: &Path) {
        // Gone already is as good.
        let _ = fs::remove_file(folder.join(SOCKET));
    }
}

impl Offer {
    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Nothing is handed over.
    pub async fn refuse(self, why: &str) {
        // It may have died; there is nobody to tell.
        let _ = self.line.say(&Answer::Refused(why.into())).await;
    }

    /// Gives copies of everything; from here on the state must not change before this ends.
    ///
    /// # Errors
    /// When the new process is gone.
    pub async fn grant(
        &self,
        revision: u64,
        sockets: &[(String, String, OwnedFd)],
        admin: (&str, bool, &OwnedFd),
        door: &Door,
        lock: &File,
    ) -> io::Result<()> {
        let line = &self.line;
        let pieces = sockets.len() + 3;
        line.say(&Answer::Granted { pieces, revision }).await?;
        for (name, bind, socket) in sockets {
            let (name, bind) = (name.clone(), bind.clone());
            let piece = Piece::Listener { name, bind };
            line.give(&piece, socket.as_fd()).await?;
        }
        let (bind, unix, socket) = admin;
        let bind = bind.to_owned();
        line.give(&Piece::Admin { bind, unix }, socket.as_fd())
            .await?;
        line.give(&Piece::Door, door.listener.as_fd()).await?;
        line.give(&Piece::Lock, lock.as_fd()).await
    }

    /// Waits until the new process is ready; whether it keeps the admin socket.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn ready(&self) -> io::Result<bool> {
        match self.line.hear().await? {
            Word::Ready { keeps_admin } => Ok(keeps_admin),
            word => Err(io::Error::other(format!(
                "it said {word:?} instead of ready"
            ))),
        }
    }

    /// It is not to be.
    pub async fn abort(self, why: &str) {
        // It may have died; there is nobody to tell.
        let _ = self.line.say(&Word::Abort(why.into())).await;
    }

    /// Lets it accept, and waits until it does. One that hangs instead is ended: it could wake up later and write beside
    /// this process.
    ///
    /// # Errors
    /// When it died before, or was ended.
    pub async fn go(self, keeps_admin: bool) -> io::Result<Successor> {
        self.line.say(&Word::Go).await?;
        let word = match timeout(SERVING, self.line.hear()).await {
            Ok(word) => word?,
            Err(_) => self.end().await?,
        };
        match word {
            Word::Serving => Ok(Successor {
                pid: self.line.peer(),
                version: self.version,
                keeps_admin,
            }),
            word => Err(io::Error::other(format!(
                "it said {word:?} instead of serving"
            ))),
        }
    }

    /// Ends the process, and returns when it is gone. What cannot be ended from here is waited for.
    async fn end(&self) -> io::Result<Word> {
        let pid = self.line.peer().and_then(Pid::from_raw);
        let ended = pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        if !ended {
            tracing::error!(
                "the new process was told to go and does not serve; end it, so that this one can go on"
            );
            return self.line.hear().await;
        }
        // Its end is the end of the line, also when it said something before.
        while self.line.hear::<Word>().await.is_ok() {}
        let why = format!("it was told to go, did not serve within {SERVING:?}, and was ended");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}
