//! `X-Forwarded-*`: what a target is told about the client, by mode and by trust (field case HATENA-4).

use config::model::ForwardedMode;

/// What to do with one forwarded header.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave what the peer sent, also nothing.
    Keep,
    /// Remove what the peer sent.
    Remove,
    /// Replace it with our own value.
    Own,
    /// Replace it with this list, of what the peer sent and our own value.
    List(Vec<u8>),
}

/// What becomes of a header that came with `given` lines, when our own value is `own`.
///
/// `X-Forwarded-For` of a trusted peer is appended to.
pub fn client<'a>(
    mode: ForwardedMode,
    trusted: bool,
    given: impl Iterator<Item = &'a [u8]>,
    own: &[u8],
) -> Change {
    apply(
        if trusted { ForwardedMode::Append } else { mode },
        given,
        own,
    )
}

/// As `client`, for Proto, Port and Host: what a trusted peer says stays, and what it leaves out is set.
pub fn told<'a>(
    mode: ForwardedMode,
    trusted: bool,
    mut given: impl Iterator<Item = &'a [u8]>,
    own: &[u8],
) -> Change {
    match (trusted, given.next()) {
        (true, Some(_)) => Change::Keep,
        (true, None) if mode == ForwardedMode::Preserve => Change::Keep,
        (true, None) => Change::Own,
        (false, first) => apply(mode, first.into_iter().chain(given), own),
    }
}

/// What an ALB makes of `host` on a listener of `port`: with that port, or with none when it is 80 or 443. `None` when it
/// stays as it is.
pub fn alb_host(host: &[u8], port: &[u8]) -> Option<Vec<u8>> {
    let name = match host.iter().rposition(|byte| *byte == b':') {
        // A colon inside of brackets belongs to an address.
        Some(colon) if host[colon..].iter().all(|byte| *byte != b']') => &host[..colon],
        _ => host,
    };
    let made = match port {
        _ if name.is_empty() => return None,
        b"80" | b"443" => name.to_vec(),
        port => [name, b":", port].concat(),
    };
    (made != host).then_some(made)
}

fn apply<'a>(mode: ForwardedMode, given: impl Iterator<Item = &'a [u8]>, own: &[u8]) -> Change {
    match mode {
        ForwardedMode::Preserve => Change::Keep,
        ForwardedMode::Remove => Change::Remove,
        ForwardedMode::Set => Change::Own,
        ForwardedMode::Append => appended(given, own),
    }
}

/// Several lines become one list, as RFC 9110 section 5.2 reads them.
fn appended<'a>(given: impl Iterator<Item = &'a [u8]>, own: &[u8]) -> Change {
    let mut list = Vec::new();
    for line in given.map(<[u8]>::trim_ascii) {
        if !line.is_empty() {
            list.extend_from_slice(line);
            list.extend_from_slice(b", ");
        }
    }
    if list.is_empty() {
        return Change::Own;
    }
    list.extend_from_slice(own);
    Change::List(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Change {
        Change::List(value.into())
    }

    #[test]
    fn each_mode_does_what_its_name_says_to_a_peer_that_is_not_trusted() {
        for (mode, expect) in [
            (ForwardedMode::Append, list("a, own")),
            (ForwardedMode::Preserve, Change::Keep),
            (ForwardedMode::Remove, Change::Remove),
            (ForwardedMode::Set, Change::Own),
        ] {
            assert_eq!(client(mode, false, [&b"a"[..]].into_iter(), b"own"), expect);
            assert_eq!(told(mode, false, [&b"a"[..]].into_iter(), b"own"), expect);
        }
    }

    #[test]
    fn what_a_trusted_peer_says_stays_and_the_client_list_grows() {
        let given = || [&b"https"[..]].into_iter();
        assert_eq!(
            told(ForwardedMode::Set, true, given(), b"http"),
            Change::Keep
        );
        assert_eq!(
            told(ForwardedMode::Set, true, [].into_iter(), b"http"),
            Change::Own
        );
        assert_eq!(
            told(ForwardedMode::Preserve, true, [].into_iter(), b"http"),
            Change::Keep
        );
        assert_eq!(
            client(
                ForwardedMode::Set,
                true,
                [&b"1.2.3.4"[..]].into_iter(),
                b"10.0.0.1"
            ),
            list("1.2.3.4, 10.0.0.1")
        );
    }

    #[test]
    fn a_host_has_the_port_of_the_listener_as_an_alb_gives_it() {
        for (host, port, expect) in [
            ("a.example", "8080", Some("a.example:8080")),
            ("a.example:80", "8080", Some("a.example:8080")),
            ("a.example:8080", "8080", None),
            ("a.example:8080", "443", Some("a.example")),
            ("a.example", "80", None),
            ("[::1]", "8080", Some("[::1]:8080")),
            ("[::1]:80", "80", Some("[::1]")),
            ("", "8080", None),
        ] {
            let made = alb_host(host.as_bytes(), port.as_bytes());
            assert_eq!(
                made.as_deref(),
                expect.map(str::as_bytes),
                "{host} at {port}"
            );
        }
    }

    #[test]
    fn several_lines_become_one_list() {
        let lines = [&b"1.1.1.1"[..], b" ", b"2.2.2.2, 3.3.3.3"].into_iter();
        assert_eq!(
            client(ForwardedMode::Append, false, lines, b"4.4.4.4"),
            list("1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4")
        );
    }
}
