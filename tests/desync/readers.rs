//! Servers that read bytes as requests, each with liberties that a real one was known to take.
//!
//! What they disagree about is how requests are smuggled; what they agree about has one reading.

/// One way to read. What is `false` is as RFC 9112 wants it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    pub(super) name: &'static str,
    /// A line ends with LF, whatever stands before it.
    bare_lf: bool,
    /// A line ends with CR, too.
    bare_cr: bool,
    /// `_` in a name is `-`.
    folds: bool,
    /// Spaces and control characters around a name and a value do not count.
    trims: bool,
    /// A line that begins with a space is a field, and not the rest of the one before.
    unfolds: bool,
    /// A value ends at NUL.
    nul_ends: bool,
    /// Of several lengths the last one counts.
    last_length: bool,
    /// A length is the digits in it, whatever else is there.
    loose_length: bool,
    /// A length beats chunks.
    length_first: bool,
    /// `chunked` anywhere in a coding means chunks.
    loose_coding: bool,
    /// GET and HEAD have no body.
    bodiless: bool,
    /// Chunks in HTTP/1.0 count, too.
    old_chunks: bool,
    /// The size of a chunk ends at the first byte that is no digit of it.
    loose_size: bool,
}

/// A request as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) line: Vec<u8>,
    /// Where its head ends, and where it ends as a whole.
    pub(super) ends: (usize, usize),
}

/// As RFC 9112 wants it.
pub(super) const STRICT: Reader = Reader {
    name: "strict",
    bare_lf: false,
    bare_cr: false,
    folds: false,
    trims: false,
    unfolds: false,
    nul_ends: false,
    last_length: false,
    loose_length: false,
    length_first: false,
    loose_coding: false,
    bodiless: false,
    old_chunks: false,
    loose_size: false,
};

/// Everybody else.
#[rustfmt::skip]
pub(super) const LENIENT: [Reader; 13] = [
    Reader { name: "lines end with LF", bare_lf: true, ..STRICT },
    Reader { name: "lines end with CR", bare_cr: true, ..STRICT },
    Reader { name: "underscores are hyphens", folds: true, ..STRICT },
    Reader { name: "spaces are nothing", trims: true, ..STRICT },
    Reader { name: "folded lines are fields", unfolds: true, trims: true, ..STRICT },
    Reader { name: "NUL ends a value", nul_ends: true, ..STRICT },
    Reader { name: "the last length counts", last_length: true, ..STRICT },
    Reader { name: "lengths are their digits", loose_length: true, ..STRICT },
    Reader { name: "a length beats chunks", length_first: true, ..STRICT },
    Reader { name: "any coding with chunked", loose_coding: true, trims: true, ..STRICT },
    Reader { name: "GET has no body", bodiless: true, ..STRICT },
    Reader { name: "chunks in HTTP/1.0", old_chunks: true, ..STRICT },
    Reader { name: "sizes are their digits", loose_size: true, bare_lf: true, ..STRICT },
];

impl Reader {
    /// The requests that `stream` begins with, as far as they are complete.
    pub(super) fn split(&self, stream: &[u8]) -> Vec<Message> {
        let (mut messages, mut from) = (Vec::new(), 0);
        while let Some(message) = self.first(stream, from) {
            from = message.ends.1;
            messages.push(message);
        }
        messages
    }

    /// The request that begins at `from`; `None` while it is not complete.
    pub(super) fn first(&self, stream: &[u8], from: usize) -> Option<Message> {
        let (line, mut at) = self.line(stream, from)?;
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        loop {
            let (text, end) = self.line(stream, at)?;
            at = end;
            match text {
                [] => break,
                [b' ' | b'\t', ..] if !self.unfolds => {
                    if let Some((_, value)) = fields.last_mut() {
                        value.extend(text);
                    }
                }
                _ => fields.push(self.field(text)),
            }
        }
        let end = self.body(stream, at, line, &fields)?;
        let line = line.to_vec();
        let ends = (at, end);
        Some(Message { line, ends })
    }

    fn line<'a>(&self, stream: &'a [u8], from: usize) -> Option<(&'a [u8], usize)> {
        let rest = stream.get(from..)?;
        for (at, byte) in rest.iter().enumerate() {
            let is_crlf = *byte == b'\n' && at > 0 && rest[at - 1] == b'\r';
            match byte {
                b'\n' if is_crlf => return Some((&rest[..at - 1], from + at + 1)),
                b'\n' if self.bare_lf => return Some((&rest[..at], from + at + 1)),
                b'\r' if self.bare_cr && rest.get(at + 1).is_some_and(|next| *next != b'\n') => {
                    return Some((&rest[..at], from + at + 1));
                }
                _ => {}
            }
        }
        None
    }

    fn field(&self, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let colon = text.iter().position(|byte| *byte == b':');
        let colon = colon.unwrap_or(text.len());
        let (name, value) = (&text[..colon], text.get(colon + 1..).unwrap_or_default());
        let mut name = name.to_ascii_lowercase();
        let mut value = value.trim_ascii();
        if self.folds {
            name.iter_mut()
                .filter(|it| **it == b'_')
                .for_each(|it| *it = b'-');
        }
        if self.nul_ends {
            value = value.split(|byte| *byte == 0).next().unwrap_or_default();
        }
        if self.trims {
            name = around(&name).to_vec();
            value = around(value);
        }
        (name, value.to_ascii_lowercase())
    }

    /// Where the body ends that begins at `from`.
    fn body(
        &self,
        stream: &[u8],
        from: usize,
        line: &[u8],
        fields: &[(Vec<u8>, Vec<u8>)],
    ) -> Option<usize> {
        let is_bodiless = [&b"GET "[..], b"HEAD "];
        if self.bodiless && is_bodiless.iter().any(|method| line.starts_with(method)) {
            return Some(from);
        }
        let named = |wanted: &[u8]| -> Vec<&[u8]> {
            let of = fields.iter().filter(|(name, _)| name == wanted);
            of.map(|(_, value)| value.as_slice()).collect()
        };
        let is_chunked = |value: &&[u8]| {
            let anywhere = value.windows(7).any(|part| part == b"chunked");
            *value == b"chunked" || (self.loose_coding && anywhere)
        };
        let is_old = line.ends_with(b"HTTP/1.0") && !self.old_chunks;
        let chunked = named(b"transfer-encoding").iter().any(is_chunked);
        let lengths = named(b"content-length");
        let length = if self.last_length {
            lengths.last()
        } else {
            lengths.first()
        };
        let length = length.and_then(|length| self.length(length));
        match length {
            Some(length) if self.length_first || !chunked || is_old => {
                let end = from.checked_add(length)?;
                (end <= stream.len()).then_some(end)
            }
            _ if chunked && !is_old => self.chunks(stream, from),
            _ => Some(from),
        }
    }

    fn length(&self, value: &[u8]) -> Option<usize> {
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let digits: Vec<u8> = if self.loose_length {
            let digits = value.iter().skip_while(|byte| !is_digit(byte));
            digits.take_while(|byte| is_digit(byte)).copied().collect()
        } else {
            value.to_vec()
        };
        let plain = !digits.is_empty() && digits.iter().all(is_digit);
        let text = String::from_utf8(digits).ok().filter(|_| plain)?;
        text.parse().ok()
    }

    fn chunks(&self, stream: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let (line, after) = self.line(stream, at)?;
            let digits = line
                .iter()
                .take_while(|byte| byte.is_ascii_hexdigit())
                .count();
            let (size, rest) = line.split_at(digits);
            if !self.loose_size && !matches!(rest, [] | [b';' | b' ' | b'\t', ..]) {
                return None;
            }
            let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
            if size == 0 {
                return self.trailers(stream, after);
            }
            at = after.checked_add(size)?;
            let (empty, after) = self.line(stream, at)?;
            if !empty.is_empty() {
                return None;
            }
            at = after;
        }
    }

    fn trailers(&self, stream: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let (line, after) = self.line(stream, at)?;
            if line.is_empty() {
                return Some(after);
            }
            at = after;
        }
    }
}

/// Without spaces and control characters at both ends.
fn around(mut text: &[u8]) -> &[u8] {
    while let [..=b' ', rest @ ..] | [rest @ .., ..=b' '] = text {
        text = rest;
    }
    text
}
