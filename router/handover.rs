//! From an old process to a new one: the sockets that accept, and the right to change the live state.
//!
//! Both talk over a unix socket in the state folder, which goes from one to the next with the rest. The old one gives
//! copies of its sockets and of the journal's lock and changes nothing more; the new one makes itself ready; the old one
//! says go, once; the new one accepts and says so; only then the old one drains. Whoever of them dies or gives up before,
//! the other goes on: nothing of the new one has served a request or written a line yet. One that hangs after that word is
//! ended by the old one. What the messages lead to is
//! the business of `run`.

mod give;
mod line;
mod take;

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use serde::{Deserialize, Serialize};

pub use give::{Door, Offer, Successor};
pub use take::{Heir, TakeError};

/// Name of the socket in the state folder.
const SOCKET: &str = "upgrade.sock";
/// The only language of these messages so far. Another one is refused, and the old process goes on.
const PROTOCOL: u32 = 1;

/// A listening socket and what it is for.
#[derive(Debug)]
pub struct Named {
    /// The listener's name.
    pub name: String,
    /// Its address in the file.
    pub bind: String,
    /// The socket.
    pub socket: TcpListener,
}

/// The socket of the admin API.
#[derive(Debug)]
pub enum AdminSocket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// First words of the new process.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    version: String,
}

/// What the old one answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// Nothing is handed over, for this reason.
    Refused(String),
    /// So many pieces follow; the live state has this revision and does not change until the end of it.
    Granted { pieces: usize, revision: u64 },
}

/// What a descriptor is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Admin { bind: String, unix: bool },
    Door,
    Listener { name: String, bind: String },
    Lock,
}

/// What else is said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Old: it is not to be, for this reason; the old one goes on.
    Abort(String),
    /// Old: accept. From now on only the death of the new one brings the state back; one that hangs is ended.
    Go,
    /// New: everything is there but for traffic; the second says whether the admin socket is kept.
    Ready { keeps_admin: bool },
    /// New: traffic is accepted, and the state is mine.
    Serving,
}

/// What the new process has in hand.
struct Heritage {
    listeners: Vec<(String, String, OwnedFd)>,
    admin: Option<(String, bool, OwnedFd)>,
    door: UnixListener,
    lock: File,
    revision: u64,
}
