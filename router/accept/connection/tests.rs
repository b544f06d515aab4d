//! What a connection tells of itself when its client has gone: over real sockets, because the reset must be one.

use std::future::poll_fn;
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

/// A connection and its client, who has not read yet.
async fn open() -> (Connection, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let local = listener.local_addr().unwrap();
    let client = TcpStream::connect(local).await.unwrap();
    let (socket, peer) = listener.accept().await.unwrap();
    let wire = Arc::new(Wire::new(ListenerId(0), peer, local, None));
    let open = Arc::new(Gauge::default()).enter(1).unwrap();
    let mut connection = Connection::new(Socket::Plain(socket), wire, open);
    connection.allowed = Allowed::All;
    (connection, client)
}

/// Writes a part of `length` until the client takes no more; how much of it is left.
async fn fill(connection: &mut Connection, length: usize) -> usize {
    let mut left = length;
    while left > 0 {
        let part = vec![0; left];
        let taken =
            poll_fn(|context| Poll::Ready(Pin::new(&mut *connection).poll_write(context, &part)));
        match taken.await {
            Poll::Ready(taken) => left -= taken.unwrap(),
            Poll::Pending => return left,
        }
    }
    0
}

#[tokio::test]
async fn a_part_that_was_taken_ends_the_stall_however_small_its_last_piece_is() {
    let (mut connection, mut client) = open().await;
    let left = fill(&mut connection, 64 << 20).await;
    assert!(left > 0 && connection.stalled.is_some(), "{left} left");
    let mut read = vec![0; (64 << 20) - left];
    client.read_exact(&mut read).await.unwrap();
    // So little is gathered, not sent.
    connection.write_all(&[0; 100]).await.unwrap();
    assert_eq!(connection.stalled, None);
}
