//! Follows the frames of one direction by their headers (RFC 9113 section 4.1). Payloads are skipped, nothing is judged.

/// A frame's header.
const HEADER: usize = 9;

/// `HEADERS`.
pub(super) const HEADERS: u8 = 1;
/// `RST_STREAM`.
pub(super) const RST_STREAM: u8 = 3;
/// `GOAWAY`.
pub(super) const GOAWAY: u8 = 7;
/// `CONTINUATION`.
pub(super) const CONTINUATION: u8 = 9;

/// The flag that ends a head.
const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
    /// Bytes of its payload at the start, as far as they are known: enough for an error code.
    start: [u8; 8],
    length: usize,
}

/// What happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its header is here.
    Begun(Frame),
    /// Its last byte is here.
    Whole(Frame),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    header: [u8; HEADER],
    held: usize,
    frame: Option<Frame>,
    seen: usize,
}

impl Frames {
    /// Frames behind `skip` bytes of something else.
    pub(super) const fn behind(skip: usize) -> Self {
        let other = Frame {
            kind: u8::MAX,
            flags: 0,
            stream: 0,
            start: [0; 8],
            length: skip,
        };
        Self {
            header: [0; HEADER],
            held: 0,
            frame: if skip == 0 { None } else { Some(other) },
            seen: 0,
        }
    }

    /// Takes the next `bytes`, and tells `tell` what they begin and complete.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Event)) {
        while !bytes.is_empty() {
            bytes = match self.frame {
                Some(frame) => self.payload(frame, bytes, &mut tell),
                None => self.header(bytes, &mut tell),
            };
        }
    }

    fn header<'a>(&mut self, bytes: &'a [u8], tell: &mut impl FnMut(Event)) -> &'a [u8] {
        let (part, rest) = bytes.split_at(bytes.len().min(HEADER - self.held));
        self.header[self.held..self.held + part.len()].copy_from_slice(part);
        self.held += part.len();
        if self.held == HEADER {
            self.held = 0;
            self.seen = 0;
            let frame = Frame::of(self.header);
            tell(Event::Begun(frame));
            if frame.length == 0 {
                tell(Event::Whole(frame));
            } else {
                self.frame = Some(frame);
            }
        }
        rest
    }

    fn payload<'a>(
        &mut self,
        mut frame: Frame,
        bytes: &'a [u8],
        tell: &mut impl FnMut(Event),
    ) -> &'a [u8] {
        let (part, rest) = bytes.split_at(bytes.len().min(frame.length - self.seen));
        for (place, byte) in frame.start.iter_mut().skip(self.seen).zip(part) {
            *place = *byte;
        }
        self.seen += part.len();
        self.frame = (self.seen < frame.length).then_some(frame);
        if self.frame.is_none() && frame.kind != u8::MAX {
            tell(Event::Whole(frame));
        }
        rest
    }
}

impl Frame {
    fn of(header: [u8; HEADER]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = header;
        Self {
            kind,
            flags,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            start: [0; 8],
            length: u32::from_be_bytes([0, a, b, c]) as usize,
        }
    }

    /// Whether it is the last one of a head.
    pub(super) const fn ends_head(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS != 0
    }

    /// The error code of a `RST_STREAM` or a `GOAWAY`.
    pub(super) fn code(&self) -> u32 {
        self.number(if self.kind == GOAWAY { 4 } else { 0 })
    }

    /// The last stream that a `GOAWAY` leaves to count on.
    pub(super) fn last_stream(&self) -> u32 {
        self.number(0) & 0x7fff_ffff
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self.start[at..at + 4].try_into();
        bytes.map_or(0, u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
    }

    fn told(pieces: &[&[u8]], skip: usize) -> Vec<(bool, u8, u32, u32, bool)> {
        let mut told = Vec::new();
        let mut frames = Frames::behind(skip);
        for piece in pieces {
            frames.follow(piece, |event| {
                told.push(match event {
                    Event::Begun(frame) => (false, frame.kind, frame.stream, 0, false),
                    Event::Whole(frame) => (
                        true,
                        frame.kind,
                        frame.stream,
                        frame.code(),
                        frame.ends_head(),
                    ),
                });
            });
        }
        told
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = [
            b"preface".to_vec(),
            frame(4, 0, 0, &[]),
            frame(HEADERS, 0, 1, b"abc"),
            frame(CONTINUATION, END_HEADERS, 1, b"d"),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 7]),
            frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11, b'x']),
        ]
        .concat();
        let whole = told(&[&bytes], 7);
        assert_eq!(whole.len(), 10);
        assert_eq!(whole[2], (false, HEADERS, 1, 0, false));
        assert!(whole[5].4, "the continuation ends the head");
        assert_eq!((whole[7].3, whole[9].3), (7, 11));
        for size in 1..12 {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(told(&pieces, 7), whole, "in pieces of {size}");
        }
    }
}
