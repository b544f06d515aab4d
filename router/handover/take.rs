//! The new process: asks for everything, says when it is ready, accepts when it is told to.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::line::Line;
use super::{AdminSocket, Answer, Hello, Heritage, Named, PROTOCOL, Piece, SOCKET, Word};

/// The old process has this long for each word: it does not wait for anything but its disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a new process got from an old one, and the line to it.
pub struct Heir {
    line: Line,
    heritage: Heritage,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The old process says no, and goes on.
    #[error("the running router goes on and hands nothing over: {0}")]
    Refused(String),
    /// It was not understood, or did not answer.
    #[error("the running router cannot be taken over from: {0}")]
    Failed(io::Error),
}

impl Heir {
    /// Asks the router that uses the state folder `folder`; `None` when there is none.
    ///
    /// # Errors
    /// When there is one, and it goes on.
    pub async fn meet(folder: &Path) -> Result<Option<Self>, TakeError> {
        let Ok(stream) = UnixStream::connect(folder.join(SOCKET)).await else {
            return Ok(None);
        };
        let asked = timeout(PATIENCE, Self::ask(Line::new(stream))).await;
        asked.unwrap_or_else(|_| Err(silent())).map(Some)
    }

    async fn ask(line: Line) -> Result<Self, TakeError> {
        let hello = Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        line.say(&hello).await.map_err(TakeError::Failed)?;
        match line.hear().await.map_err(TakeError::Failed)? {
            Answer::Refused(why) => Err(TakeError::Refused(why)),
            Answer::Granted { pieces, revision } => {
                let heritage = Heritage::collect(&line, pieces, revision).await;
                let heritage = heritage.map_err(TakeError::Failed)?;
                Ok(Self { line, heritage })
            }
        }
    }

    /// The revision that the journal must end with.
    pub const fn revision(&self) -> u64 {
        self.heritage.revision
    }

    /// The lock of the state folder, held together with the old process.
    ///
    /// # Errors
    /// When no further descriptor can be had.
    pub fn lock(&self) -> io::Result<File> {
        self.heritage.lock.try_clone()
    }

    /// The socket on which the process after this one will ask.
    ///
    /// # Errors
    /// When no further descriptor can be had.
    pub fn door(&self) -> io::Result<UnixListener> {
        self.heritage.door.try_clone()
    }

    /// The sockets of listeners. What is not kept of them is closed by dropping it.
    pub fn listeners(&mut self) -> Vec<Named> {
        let all = std::mem::take(&mut self.heritage.listeners);
        let named = all.into_iter().map(|(name, bind, socket)| Named {
            name,
            bind,
            socket: TcpListener::from(socket),
        });
        named.collect()
    }

    /// The socket of the admin API, when it is bound to `bind`.
    pub fn admin(&mut self, bind: &str) -> Option<AdminSocket> {
        let (_, unix, socket) = self.heritage.admin.take_if(|(own, ..)| own == bind)?;
        Some(if unix {
            AdminSocket::Unix(socket.into())
        } else {
            AdminSocket::Tcp(socket.into())
        })
    }

    /// Everything is there but for traffic; returns when traffic may be accepted.
    ///
    /// # Errors
    /// When the old process goes on instead. One that died meanwhile is no error: somebody has to serve.
    pub async fn ready(&self) -> Result<(), TakeError> {
        let keeps_admin = self.heritage.admin.is_none();
        // Who gave up has said so, and that can be read although nothing can be said any more.
        let _ = self.line.say(&Word::Ready { keeps_admin }).await;
        match timeout(PATIENCE, self.line.hear()).await {
            Err(_) => Err(silent()),
            Ok(Ok(Word::Go)) => Ok(()),
            Ok(Ok(Word::Abort(why))) => Err(TakeError::Refused(why)),
            Ok(Ok(word)) => {
                let why = format!("it said {word:?} instead of go");
                Err(TakeError::Failed(io::Error::other(why)))
            }
            Ok(Err(_)) => self.deserted(),
        }
    }

    /// Traffic is accepted: from now on the state belongs to this process.
    pub async fn serving(self) {
        // A process that died meanwhile needs no word.
        let _ = self.line.say(&Word::Serving).await;
    }

    fn deserted(&self) -> Result<(), TakeError> {
        tracing::warn!("the old process died while it handed over; this one goes on alone");
        Ok(())
    }
}

fn silent() -> TakeError {
    TakeError::Failed(io::ErrorKind::TimedOut.into())
}

impl Heritage {
    async fn collect(line: &Line, pieces: usize, revision: u64) -> io::Result<Self> {
        let (mut listeners, mut admin) = (Vec::new(), None);
        let (mut door, mut lock) = (None, None);
        for _ in 0..pieces {
            let (piece, descriptor) = line.take().await?;
            let descriptor = descriptor.ok_or_else(|| missing("a descriptor"))?;
            match piece {
                Piece::Admin { bind, unix } => admin = Some((bind, unix, descriptor)),
                Piece::Door => door = Some(UnixListener::from(descriptor)),
                Piece::Listener { name, bind } => listeners.push((name, bind, descriptor)),
                Piece::Lock => lock = Some(File::from(descriptor)),
            }
        }
        Ok(Self {
            listeners,
            admin,
            door: door.ok_or_else(|| missing("the upgrade socket"))?,
            lock: lock.ok_or_else(|| missing("the lock"))?,
            revision,
        })
    }
}

fn missing(what: &str) -> io::Error {
    io::Error::other(format!("{what} did not come"))
}
