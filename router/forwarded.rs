//! `X-Forwarded-*`: what a target is told about the client, by mode and by trust (field case HATENA-4).

use config::model::ForwardedMode;

/// What to do with one forwarded header.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave what the peer sent, also nothing.
    Keep,
    /// Remove what the peer sent.
    Remove,
    /// Replace it with this.
    Set(String),
}

/// What becomes of a header that came with `given` lines, when our own value is `own`.
///
/// `X-Forwarded-For` of a trusted peer is appended to.
pub fn client<'a>(
    mode: ForwardedMode,
    trusted: bool,
    given: impl Iterator<Item = &'a [u8]>,
    own: &str,
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
    own: &str,
) -> Change {
    match (trusted, given.next()) {
        (true, Some(_)) => Change::Keep,
        (true, None) if mode == ForwardedMode::Preserve => Change::Keep,
        (true, None) => Change::Set(own.to_owned()),
        (false, first) => apply(mode, first.into_iter().chain(given), own),
    }
}

fn apply<'a>(mode: ForwardedMode, given: impl Iterator<Item = &'a [u8]>, own: &str) -> Change {
    match mode {
        ForwardedMode::Preserve => Change::Keep,
        ForwardedMode::Remove => Change::Remove,
        ForwardedMode::Set => Change::Set(own.to_owned()),
        ForwardedMode::Append => Change::Set(appended(given, own)),
    }
}

/// Several lines become one list, as RFC 9110 section 5.2 reads them.
fn appended<'a>(given: impl Iterator<Item = &'a [u8]>, own: &str) -> String {
    let mut list = String::with_capacity(64);
    for line in given {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if !line.is_empty() {
            list.push_str(line);
            list.push_str(", ");
        }
    }
    list.push_str(own);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &str) -> Change {
        Change::Set(value.to_owned())
    }

    #[test]
    fn each_mode_does_what_its_name_says_to_a_peer_that_is_not_trusted() {
        for (mode, expect) in [
            (ForwardedMode::Append, set("a, own")),
            (ForwardedMode::Preserve, Change::Keep),
            (ForwardedMode::Remove, Change::Remove),
            (ForwardedMode::Set, set("own")),
        ] {
            assert_eq!(client(mode, false, [&b"a"[..]].into_iter(), "own"), expect);
            assert_eq!(told(mode, false, [&b"a"[..]].into_iter(), "own"), expect);
        }
    }

    #[test]
    fn what_a_trusted_peer_says_stays_and_the_client_list_grows() {
        let given = || [&b"https"[..]].into_iter();
        assert_eq!(
            told(ForwardedMode::Set, true, given(), "http"),
            Change::Keep
        );
        assert_eq!(
            told(ForwardedMode::Set, true, [].into_iter(), "http"),
            set("http")
        );
        assert_eq!(
            told(ForwardedMode::Preserve, true, [].into_iter(), "http"),
            Change::Keep
        );
        assert_eq!(
            client(
                ForwardedMode::Set,
                true,
                [&b"1.2.3.4"[..]].into_iter(),
                "10.0.0.1"
            ),
            set("1.2.3.4, 10.0.0.1")
        );
    }

    #[test]
    fn several_lines_become_one_list() {
        let lines = [&b"1.1.1.1"[..], b" ", b"2.2.2.2, 3.3.3.3"].into_iter();
        assert_eq!(
            client(ForwardedMode::Append, false, lines, "4.4.4.4"),
            set("1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4")
        );
    }
}
