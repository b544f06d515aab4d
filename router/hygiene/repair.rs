//! A head written anew, when it is served although not all of it may be passed on.
//!
//! What every reader would understand alike stays byte for byte. What goes is what some would read in another way: a
//! second length, a length beside chunks, a name that a server folds into another one.

use config::model::{InvalidHeaders, Server};

use super::{fields, line};

/// `head`, which has passed under the settings of `server`, in the one way to write it.
pub fn repaired(head: &[u8], server: &Server) -> Vec<u8> {
    let mut lines = line::Lines::new(head).map_while(Result::ok);
    let mut out = Vec::with_capacity(head.len());
    request_line(lines.next().unwrap_or_default(), &mut out);
    let all: Vec<&[u8]> = lines.collect();
    let chunked = all
        .iter()
        .any(|line| name(line).eq_ignore_ascii_case(b"transfer-encoding"));
    let mut has_length = chunked;
    for line in all {
        let name = name(line);
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        let again = is_length && std::mem::replace(&mut has_length, true);
        if !again && !is_dropped(name, server) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Whether a header of this name is left out.
pub(super) fn is_dropped(name: &[u8], server: &Server) -> bool {
    fields::is_disguised(name)
        || (server.invalid_headers == InvalidHeaders::Drop && !fields::is_plain_name(name))
}

fn request_line(line: &[u8], out: &mut Vec<u8>) {
    let Some([method, target, version]) = line::split(line) else {
        return out.extend_from_slice(line);
    };
    out.extend_from_slice(method);
    out.push(b' ');
    line::escape(target, out);
    out.push(b' ');
    out.extend_from_slice(version);
    out.extend_from_slice(b"\r\n");
}

fn name(line: &[u8]) -> &[u8] {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    &line[..colon]
}
