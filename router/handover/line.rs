//! One message after the other on a unix socket: a length, JSON, and at most one descriptor beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// More than any message needs.
const LARGEST: usize = 64 << 10;
/// A message begins with its length.
const LENGTH: usize = 4;

/// A connection between two routers.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

impl Line {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Whether the other side runs as the same user, or as root.
    pub(super) fn is_trusted(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.0
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
    }

    /// The process on the other side.
    pub(super) fn peer(&self) -> Option<i32> {
        self.0.peer_cred().ok()?.pid()
    }

    pub(super) async fn say(&self, message: &impl Serialize) -> io::Result<()> {
        self.send(message, &[]).await
    }

    pub(super) async fn give(
        &self,
        message: &impl Serialize,
        descriptor: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send(message, &[descriptor]).await
    }

    pub(super) async fn hear<T: DeserializeOwned>(&self) -> io::Result<T> {
        self.take().await.map(|(message, _)| message)
    }

    /// The next message, and the descriptor that came with it.
    pub(super) async fn take<T: DeserializeOwned>(&self) -> io::Result<(T, Option<OwnedFd>)> {
        let mut descriptor = None;
        let mut length = [0; LENGTH];
        self.fill(&mut length, &mut descriptor).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LARGEST {
            return Err(io::Error::other("a message without end"));
        }
        let mut text = vec![0; length];
        self.fill(&mut text, &mut descriptor).await?;
        Ok((serde_json::from_slice(&text)?, descriptor))
    }

    async fn send(&self, message: &impl Serialize, with: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let bytes = [&length.to_be_bytes()[..], &text].concat();
        let mut sent = 0;
        while sent < bytes.len() {
            // Descriptors go with the first byte, and once.
            let with = if sent == 0 { with } else { &[] };
            let part = &bytes[sent..];
            let send = || write(&self.0, part, with);
            sent += self.0.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }

    async fn fill(&self, buffer: &mut [u8], descriptor: &mut Option<OwnedFd>) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let part = &mut buffer[filled..];
            let receive = || read(&self.0, part, descriptor);
            match self.0.async_io(Interest::READABLE, receive).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        Ok(())
    }
}

fn write(stream: &UnixStream, bytes: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !with.is_empty() && !control.push(SendAncillaryMessage::ScmRights(with)) {
        return Err(io::Error::other("one descriptor a message"));
    }
    let parts = [IoSlice::new(bytes)];
    Ok(sendmsg(stream, &parts, &mut control, SendFlags::NOSIGNAL)?)
}

fn read(
    stream: &UnixStream,
    buffer: &mut [u8],
    descriptor: &mut Option<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    // Not for a program that we might start.
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(stream, &mut parts, &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut received) = message
            && let Some(received) = received.next()
        {
            *descriptor = Some(received);
        }
    }
    Ok(got.bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (Line, Line) {
        let (one, other) = UnixStream::pair().unwrap();
        (Line::new(one), Line::new(other))
    }

    #[tokio::test]
    async fn messages_come_in_order_each_with_its_descriptor() {
        let (old, new) = pair();
        let files: Vec<File> = (0..3)
            .map(|n: u8| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&[n]).unwrap();
                file.rewind().unwrap();
                file
            })
            .collect();
        for (n, file) in files.iter().enumerate() {
            old.give(&n, file.as_fd()).await.unwrap();
            old.say(&format!("after {n}")).await.unwrap();
        }
        drop((old, files));
        for n in 0..3 {
            let (told, descriptor) = new.take::<usize>().await.unwrap();
            let mut byte = [9];
            File::from(descriptor.unwrap())
                .read_exact(&mut byte)
                .unwrap();
            assert_eq!((told, byte), (n, [n as u8]));
            let (told, descriptor) = new.take::<String>().await.unwrap();
            assert!(descriptor.is_none());
            assert_eq!(told, format!("after {n}"));
        }
        let end = new.hear::<String>().await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x05nope", b"\0\0\0\x02{]"] {
            let (one, other) = UnixStream::pair().unwrap();
            one.try_write(bytes).unwrap();
            drop(one);
            assert!(
                Line::new(other).hear::<String>().await.is_err(),
                "{bytes:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_same_user_is_trusted() {
        let (old, new) = pair();
        assert!(old.is_trusted() && new.is_trusted());
        assert_eq!(old.peer(), Some(std::process::id() as i32));
    }
}
