//! Sockets that systemd opened for us (sd_listen_fds(3)), so that they are there before us, between us and after us.
//!
//! Each has the name of its listener, or `admin`, as `FileDescriptorName=` says; or it is known by its address.

use std::net::TcpListener;

use config::snapshot::Structure;
use listenfd::ListenFd;

use super::{StartError, failed};
use crate::handover::{AdminSocket, Named};

/// Sockets that came from elsewhere.
#[derive(Default)]
pub(super) struct Handed {
    pub(super) listeners: Vec<Named>,
    pub(super) admin: Option<AdminSocket>,
    /// Whoever opened the admin socket takes care of its file.
    pub(super) leaves_file: bool,
}

impl Handed {
    /// Those that the environment tells of; one that nothing in the file stands for is an error, because clients would
    /// wait on it for ever.
    pub(super) fn by_environment(structure: &Structure) -> Result<Self, StartError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut all = ListenFd::from_env();
        let mut handed = Self {
            leaves_file: true,
            ..Self::default()
        };
        for position in 0..all.len() {
            let name = names.next().unwrap_or_default();
            let taken = handed.take(&mut all, position, name, structure);
            taken.map_err(|why| failed(&format!("socket {name:?} of systemd"), why))?;
        }
        Ok(handed)
    }

    fn take(
        &mut self,
        all: &mut ListenFd,
        position: usize,
        name: &str,
        structure: &Structure,
    ) -> Result<(), String> {
        let said = |error: std::io::Error| error.to_string();
        if name == "admin" {
            self.admin = match all.take_unix_listener(position) {
                Ok(socket) => socket.map(AdminSocket::Unix),
                Err(_) => all
                    .take_tcp_listener(position)
                    .map_err(said)?
                    .map(AdminSocket::Tcp),
            };
            return Ok(());
        }
        if let Some(socket) = all.take_tcp_listener(position).map_err(said)? {
            self.listeners.push(named(name, socket, structure)?);
        }
        Ok(())
    }
}

fn named(name: &str, socket: TcpListener, structure: &Structure) -> Result<Named, String> {
    let address = socket.local_addr().map_err(|error| error.to_string())?;
    let listeners = &structure.listeners;
    let by_name = listeners.iter().find(|listener| *listener.name == *name);
    let by_address = || listeners.iter().find(|listener| listener.bind == address);
    let listener = by_name.or_else(by_address).ok_or_else(|| {
        format!("it listens on {address}, and no listener has this name or this address")
    })?;
    Ok(Named {
        name: listener.name.to_string(),
        bind: listener.bind.to_string(),
        socket,
    })
}
