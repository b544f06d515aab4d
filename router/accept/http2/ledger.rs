//! Which streams a client began, until they became requests: what never does is written down all the same.
//!
//! `h2` answers by itself what no request can be made of, and tells nobody. What it reads and writes is followed here by
//! the headers of its frames, so that such a stream has its line, and a head its deadline.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::frames::{Event, Frames, GOAWAY, HEADERS, RST_STREAM};
use crate::record::Cause;

/// The preface of a client.
const PREFACE: usize = 24;
/// Most streams that are remembered: more than may run at a time, and those given up meanwhile.
const MOST: usize = 512;
/// `REFUSED_STREAM`: there were too many, and the client may try again.
const REFUSED_STREAM: u32 = 7;

/// What one connection has read and written.
#[derive(Debug)]
pub(super) struct Ledger {
    read: Frames,
    written: Frames,
    last: u32,
    /// The last stream that the client may count on, by our GOAWAY without an error. What is above was never looked at, and
    /// is sent once more over another connection (RFC 9113 section 6.8): it has its line there.
    promised: u32,
    begun: VecDeque<u32>,
    /// Answered by frames alone, so far.
    refused: VecDeque<(u32, Cause)>,
    head_since: Option<Instant>,
    /// What every stream that is left at the end ended for.
    end: Cause,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            read: Frames::behind(PREFACE),
            written: Frames::behind(0),
            last: 0,
            promised: u32::MAX,
            begun: VecDeque::new(),
            refused: VecDeque::new(),
            head_since: None,
            end: Cause::ClientClosed,
        }
    }
}

impl Ledger {
    /// `bytes` came from the client; `now` is asked for when a head begins in them.
    pub(super) fn read(&mut self, bytes: &[u8], now: impl Fn() -> Instant) {
        let Self {
            read,
            last,
            promised,
            begun,
            head_since,
            ..
        } = self;
        read.follow(bytes, |event| match event {
            Event::Begun(frame) if frame.kind == HEADERS => {
                head_since.get_or_insert_with(&now);
                // A smaller number is a stream's trailers, or an error that ends the connection.
                if frame.stream > *last && frame.stream <= *promised {
                    *last = frame.stream;
                    begun.truncate(MOST - 1);
                    begun.push_front(frame.stream);
                }
            }
            Event::Whole(frame) if frame.ends_head() => *head_since = None,
            Event::Begun(_) | Event::Whole(_) => {}
        });
    }

    /// `bytes` went to the client.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        let Self {
            written,
            promised,
            begun,
            refused,
            end,
            ..
        } = self;
        written.follow(bytes, |event| {
            let Event::Whole(frame) = event else { return };
            let cause = match frame.kind {
                RST_STREAM if frame.code() == REFUSED_STREAM => Cause::TooManyStreams,
                RST_STREAM => Cause::BadRequest,
                // The one answer that `h2` gives by itself.
                HEADERS => Cause::HeaderTooLarge,
                GOAWAY if frame.code() == 0 => {
                    *promised = frame.last_stream();
                    return begun.retain(|begun| begun <= promised);
                }
                GOAWAY => return *end = Cause::BadRequest,
                _ => return,
            };
            if forget(begun, frame.stream) {
                refused.push_back((frame.stream, cause));
            }
        });
    }

    /// `stream` has become a request.
    pub(super) fn accepted(&mut self, stream: u32) {
        forget(&mut self.begun, stream);
        self.refused.retain(|(refused, _)| *refused != stream);
    }

    /// When the head that is being read must be whole, if it may take `limit`; `None` when none is.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        self.head_since.map(|since| since + limit)
    }

    /// The head that is being read did not come in time.
    pub(super) const fn give_up(&mut self) {
        self.end = Cause::HeaderTimeout;
    }

    /// Why the next stream became no request; to be asked when none is left that may become one. What is told here happens
    /// while frames are moved, so whoever asks after that needs no wake.
    pub(super) fn next_refused(&mut self) -> Poll<Cause> {
        let next = self.refused.pop_front();
        next.map_or(Poll::Pending, |(_, cause)| Poll::Ready(cause))
    }

    /// The connection is over: what is left of its streams, each with why it became no request.
    pub(super) fn close(&mut self) -> Vec<Cause> {
        let refused = self.refused.drain(..);
        let mut left: Vec<_> = refused.map(|(_, cause)| cause).collect();
        left.extend(self.begun.drain(..).map(|_| self.end));
        left
    }
}

/// Whether `stream` was one of `begun`; it is no longer.
fn forget(begun: &mut VecDeque<u32>, stream: u32) -> bool {
    let position = begun.iter().position(|begun| *begun == stream);
    position.is_some_and(|position| begun.remove(position).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::frames::CONTINUATION;
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
    }

    fn begun(streams: &[u8], flags: u8) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.read(&[0; PREFACE], Instant::now);
        for stream in streams {
            ledger.read(&frame(HEADERS, flags, *stream, b"abc"), Instant::now);
        }
        ledger
    }

    #[test]
    fn a_stream_that_became_a_request_is_no_longer_of_interest() {
        let mut ledger = begun(&[1, 3], 4);
        ledger.accepted(1);
        ledger.wrote(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
        ledger.wrote(&frame(HEADERS, 4, 1, b"abc"));
        assert_eq!(ledger.close(), [Cause::ClientClosed]);
    }

    #[test]
    fn a_stream_that_becomes_a_request_after_it_was_reset_is_told_as_one() {
        let mut ledger = begun(&[1], 4);
        ledger.wrote(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 1]));
        ledger.accepted(1);
        assert!(ledger.next_refused().is_pending());
        assert_eq!(ledger.close(), []);
    }

    #[test]
    fn what_was_answered_by_frames_alone_is_told_once() {
        let mut ledger = begun(&[1, 3, 5], 4);
        ledger.wrote(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 1]));
        ledger.wrote(&frame(HEADERS, 4, 3, b"431"));
        ledger.wrote(&frame(RST_STREAM, 0, 3, &[0, 0, 0, 1]));
        ledger.wrote(&frame(RST_STREAM, 0, 5, &[0, 0, 0, 7]));
        let causes = [
            Cause::BadRequest,
            Cause::HeaderTooLarge,
            Cause::TooManyStreams,
        ];
        assert_eq!(ledger.close(), causes);
    }

    #[test]
    fn what_a_goaway_does_not_promise_is_told_by_whoever_serves_it() {
        let mut ledger = begun(&[1, 3, 5], 4);
        // The first of two: it promises all, until what is on its way has come.
        ledger.wrote(&frame(GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
        ledger.wrote(&frame(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]));
        ledger.read(&frame(HEADERS, 4, 7, b"abc"), Instant::now);
        assert_eq!(ledger.close(), [Cause::ClientClosed; 2]);
        let mut ledger = begun(&[1, 3], 4);
        ledger.wrote(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 1]));
        assert_eq!(
            ledger.close(),
            [Cause::BadRequest; 2],
            "an error is no promise"
        );
    }

    #[test]
    fn a_head_has_a_deadline_until_it_is_whole() {
        let limit = Duration::from_secs(10);
        let mut ledger = begun(&[1], 0);
        assert!(ledger.deadline(limit).is_some());
        ledger.read(&frame(CONTINUATION, 0, 1, b"a"), Instant::now);
        assert!(ledger.deadline(limit).is_some());
        ledger.read(&frame(CONTINUATION, 4, 1, b"a"), Instant::now);
        assert_eq!(ledger.deadline(limit), None);
        ledger.read(&frame(HEADERS, 4, 3, b"abc")[..10], Instant::now);
        assert!(
            ledger.deadline(limit).is_some(),
            "a part of one frame is one, too"
        );
        ledger.give_up();
        assert_eq!(ledger.close(), [Cause::HeaderTimeout; 2]);
    }

    #[test]
    fn however_many_streams_are_begun_few_are_remembered() {
        let mut ledger = begun(&[], 4);
        for stream in 0..10_000_u32 {
            let mut head = frame(HEADERS, 4, 0, b"");
            head[5..].copy_from_slice(&(2 * stream + 1).to_be_bytes());
            ledger.read(&head, Instant::now);
        }
        assert_eq!(ledger.begun.len(), MOST);
    }
}
