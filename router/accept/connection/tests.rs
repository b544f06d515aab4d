//! What a connection tells of itself when its client has gone: over real sockets, because the reset must be one.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use config::ids::ListenerId;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::super::gauge::Gauge;
use super::*;

/// A connection whose client has reset it.
async fn reset() -> Connection {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let local = listener.local_addr().unwrap();
    let client = TcpStream::connect(local).await.unwrap();
    let (mut socket, peer) = listener.accept().await.unwrap();
    SockRef::from(&client)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(client);
    let told = socket.read(&mut [0]).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    let wire = Arc::new(Wire::new(ListenerId(0), peer, local, None));
    let open = Arc::new(Gauge::default()).enter(1).unwrap();
    Connection::new(Socket::Plain(socket), wire, open)
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_by_the_flush() {
    let mut connection = reset().await;
    connection.allowed = Allowed::All;
    connection.write_all(b"an answer").await.unwrap();
    let told = connection.flush().await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::BrokenPipe);
}
