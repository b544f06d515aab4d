//! How much a pool is asked for: caps, limits, deadlines, further tries, and what stands in when it cannot serve.

mod cap;
mod deadline;
mod evict;
mod failover;
mod limits;
mod retries;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use socket2::{Domain, Socket, Type};

use crate::support::{DEADLINE, Stub};

/// A stub that answers `/held` once for each word that is sent to it, and everything else at once.
fn holding(name: &'static str) -> (Stub, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let stub = Stub::with(name, move |exchange| {
        if exchange.path() == "/held" {
            // A test that is over has dropped its end.
            let _ = gate
                .lock()
                .expect("no other holder panics")
                .recv_timeout(DEADLINE);
        }
        exchange.plain()
    });
    (stub, go)
}

/// An address to which no connection comes about and none is refused: its queue is full and nobody accepts.
struct BlackHole {
    address: SocketAddr,
    _kept: (Socket, Vec<Socket>),
}

impl BlackHole {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let waiting = (0..4).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // Under way, or in the queue: both fill it.
            let _ = socket.connect(&address.into());
            socket
        });
        let waiting = waiting.collect();
        Self {
            address,
            _kept: (socket, waiting),
        }
    }
}

#[test]
fn the_black_hole_swallows_connections() {
    let hole = BlackHole::new();
    let wait = std::time::Duration::from_millis(300);
    let error = TcpStream::connect_timeout(&hole.address, wait).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
