//! The sockets that accept: those of an older process or of systemd as far as the file names them, the others bound.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;

use config::snapshot::{Listener, Structure};

use super::activation::Handed;
use super::{StartError, failed};
use crate::accept::{self, Bound};
use crate::admin::Socket;
use crate::handover::{AdminSocket, Heir, Named};

/// Everything that accepts.
pub(super) struct Sockets {
    /// Of the listeners, in the order of the file.
    pub(super) bound: Vec<Bound>,
    /// Of the admin API.
    pub(super) admin: Socket,
    /// Its address as the file has it, whole.
    admin_bind: String,
}

impl Sockets {
    /// Takes what `heir` has, or else systemd, and binds the rest; a port that is taken ends the start at once.
    pub(super) fn open(structure: &Structure, heir: Option<&mut Heir>) -> Result<Self, StartError> {
        let admin_bind = whole(&structure.admin.bind);
        let handed = match heir {
            Some(heir) => Handed {
                listeners: heir.listeners(),
                admin: heir.admin(&admin_bind),
                leaves_file: false,
            },
            None => Handed::by_environment(structure)?,
        };
        let mut named = handed.listeners;
        let is_handed = handed.admin.is_some();
        let bound = structure.listeners.iter();
        let bound = bound.map(|listener| listen(listener, &mut named));
        let bound = bound.collect::<Result<_, _>>()?;
        let admin = match handed.admin {
            Some(AdminSocket::Tcp(socket)) => Socket::adopt_tcp(socket),
            Some(AdminSocket::Unix(socket)) => Ok(Socket::adopt_unix(socket, &admin_bind)),
            None => Socket::bind(&structure.admin.bind),
        };
        let admin = admin.map_err(|error| failed("admin", error))?;
        if handed.leaves_file && is_handed {
            admin.is_anothers().store(true, Ordering::Release);
        }
        Ok(Self {
            bound,
            admin,
            admin_bind,
        })
    }

    /// Port 0 is known only now, and scripts wait for these lines.
    pub(super) fn announce(&self) -> Result<(), StartError> {
        let mut out = io::stdout().lock();
        let mut announce = || {
            for bound in &self.bound {
                writeln!(out, "listening {} {}", bound.listener.name, bound.address)?;
            }
            writeln!(out, "listening admin {}", self.admin)?;
            out.flush()
        };
        announce().map_err(|error| failed("standard output", error))
    }

    /// Copies of the listeners' sockets, each with its name and its address in the file.
    pub(super) fn listeners(&self) -> io::Result<Vec<(String, String, OwnedFd)>> {
        let copies = self.bound.iter().map(|bound| {
            let listener = &bound.listener;
            let (name, bind) = (listener.name.to_string(), listener.bind.to_string());
            Ok((name, bind, bound.share()?))
        });
        copies.collect()
    }

    /// A copy of the admin API's socket, with its address in the file and whether it is a unix socket.
    pub(super) fn admin(&self) -> io::Result<(String, bool, OwnedFd)> {
        let is_unix = matches!(self.admin, Socket::Unix(..));
        Ok((self.admin_bind.clone(), is_unix, self.admin.share()?))
    }
}

fn listen(listener: &Listener, named: &mut Vec<Named>) -> Result<Bound, StartError> {
    let bound = match claimed(listener, named) {
        Some(socket) => accept::adopt(listener, socket),
        None => accept::bind(listener),
    };
    bound.map_err(|error| {
        StartError::Failed(format!(
            "listener {}: {} cannot be bound: {error}",
            listener.name, listener.bind
        ))
    })
}

/// The socket of that address: of that name too when there are several, as with port 0.
fn claimed(listener: &Listener, named: &mut Vec<Named>) -> Option<TcpListener> {
    let bind = listener.bind.to_string();
    let by_name = named
        .iter()
        .position(|it| it.bind == bind && it.name == *listener.name);
    let by_address = || {
        let is_one = listener.bind.port() != 0;
        named.iter().position(|it| is_one && it.bind == bind)
    };
    let position = by_name.or_else(by_address)?;
    Some(named.swap_remove(position).socket)
}

/// An address that means the same in another working folder.
fn whole(bind: &str) -> String {
    let path = bind.strip_prefix("unix:").map(Path::new);
    let path = path.and_then(|path| std::path::absolute(path).ok());
    path.map_or_else(
        || bind.to_owned(),
        |path| format!("unix:{}", path.display()),
    )
}
