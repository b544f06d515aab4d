//! Values as bytes, without the formatting machinery: an access-log line is written for every request.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// What a byte that is not UTF-8 becomes, so that every line is JSON: U+FFFD, one for each broken sequence.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The inside of a string of JSON.
pub(super) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    // Nearly all texts need nothing. Looking at every byte without stopping is done many bytes at a time, which takes
    // a tenth of the instructions of the way below.
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) & (*byte != b'"') & (*byte != b'\\');
    if text.iter().fold(true, |all, byte| all & plain(byte)) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        escape_valid(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
        }
    }
}

fn escape_valid(out: &mut Vec<u8>, mut text: &[u8]) {
    let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\' | 0x7f);
    while let Some(position) = text.iter().position(special) {
        out.extend_from_slice(&text[..position]);
        match text[position] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        text = &text[position + 1..];
    }
    out.extend_from_slice(text);
}

/// Text in which every byte that is not ASCII or that is `special` is `\xHH`, so that no line is broken and every byte
/// can be had back.
pub(super) fn escape_hex(out: &mut Vec<u8>, text: &[u8], special: impl Fn(u8) -> bool) {
    for &byte in text {
        if byte == b'\\' || !(0x20..0x7f).contains(&byte) || special(byte) {
            out.extend_from_slice(b"\\x");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.push(byte);
        }
    }
}

/// As `escape_hex`, but what is UTF-8 stays as it is.
pub(super) fn escape_hex_or_utf8(out: &mut Vec<u8>, text: &[u8]) {
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) & (*byte != b'\\');
    if text.iter().fold(true, |all, byte| all & plain(byte)) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().split_inclusive(|_| true) {
            if character.len() > 1 {
                out.extend_from_slice(character.as_bytes());
            } else {
                escape_hex(out, character.as_bytes(), |_| false);
            }
        }
        escape_hex(out, chunk.invalid(), |_| false);
    }
}

pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Seconds with six decimals.
pub(super) fn seconds(out: &mut Vec<u8>, duration: Duration) {
    number(out, duration.as_secs());
    out.push(b'.');
    padded(out, duration.subsec_micros(), 6);
}

/// Seconds with three decimals, cut and not rounded.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    number(out, duration.as_secs());
    out.push(b'.');
    padded(out, duration.subsec_millis(), 3);
}

pub(super) fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (position, octet) in address.octets().into_iter().enumerate() {
                if position > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // Shortening zeros by hand is not worth it for the rarer kind; writing to memory does not fail.
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}");
        }
    }
}

pub(super) fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    let brackets = address.is_ipv6();
    if brackets {
        out.push(b'[');
    }
    ip(out, address.ip());
    if brackets {
        out.push(b']');
    }
    out.push(b':');
    number(out, address.port().into());
}

/// RFC 3339 in UTC with microseconds; a time before 1970 is shown as 1970.
pub(super) fn time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let second_of_day = (since.as_secs() % 86_400) as u32;
    let (year, month, day) = date(since.as_secs() / 86_400);
    padded(out, year, 4);
    out.push(b'-');
    padded(out, month, 2);
    out.push(b'-');
    padded(out, day, 2);
    out.push(b'T');
    padded(out, second_of_day / 3600, 2);
    out.push(b':');
    padded(out, second_of_day / 60 % 60, 2);
    out.push(b':');
    padded(out, second_of_day % 60, 2);
    out.push(b'.');
    padded(out, since.subsec_micros(), 6);
    out.push(b'Z');
}

/// Year, month and day of the day so many days after 1970-01-01.
///
/// Counted in years that begin on 1 March, so that the leap day is the last of its year and months follow a line.
fn date(days: u64) -> (u32, u32, u32) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    const FROM_1_MARCH_0: u64 = 719_468;
    let days = days + FROM_1_MARCH_0;
    let era = days / DAYS_OF_400_YEARS;
    let day_of_era = days % DAYS_OF_400_YEARS;
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    let from_march = (day_of_year * 5 + 2) / 153;
    let day = day_of_year - (from_march * 153 + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

fn padded(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn at(seconds: u64, micros: u32) -> String {
        written(|out| {
            time(
                out,
                SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1000),
            );
        })
    }

    #[test]
    fn times_are_rfc_3339_in_utc_with_microseconds() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_399, 1), "2000-02-28T23:59:59.000001Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_795_219_571, 123_456), "2026-11-21T00:06:11.123456Z");
        assert_eq!(at(4_107_542_400, 999_999), "2100-03-01T00:00:00.999999Z");
    }

    #[test]
    fn addresses_are_written_as_they_are_read() {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        assert_eq!(
            written(|out| ip(out, Ipv4Addr::new(203, 0, 113, 7).into())),
            "203.0.113.7"
        );
        assert_eq!(
            written(|out| socket(out, (v6, 80).into())),
            "[2001:db8::1]:80"
        );
    }

    #[test]
    fn what_would_break_a_line_is_written_in_hex() {
        assert_eq!(
            written(|out| escape_hex_or_utf8(out, b"a\tb\\\xff\xc3\xa9\r\n\"")),
            "a\\x09b\\x5c\\xff\u{e9}\\x0d\\x0a\""
        );
        assert_eq!(
            written(|out| escape_hex(out, b"a \"b\" \xc3\xa9", |byte| byte == b'"')),
            "a \\x22b\\x22 \\xc3\\xa9"
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_become_replacement_characters() {
        assert_eq!(
            written(|out| escape(out, b"a\xffb\xc3\xa9\"\\\n\x7f")),
            "a\u{fffd}b\u{e9}\\\"\\\\\\u000a\\u007f"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_json_string_with_the_same_text(text: Vec<u8>) {
            let json = written(|out| escape(out, &text));
            let read: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&text));
            prop_assert!(!json.bytes().any(|byte| byte < 0x20));
        }

        #[test]
        fn bytes_in_hex_can_be_had_back(text: Vec<u8>) {
            let hex = written(|out| escape_hex_or_utf8(out, &text));
            prop_assert!(!hex.bytes().any(|byte| byte < 0x20 || byte == 0x7f));
            let mut read = Vec::new();
            let mut pieces = hex.split("\\x");
            read.extend(pieces.next().unwrap().bytes());
            for piece in pieces {
                read.push(u8::from_str_radix(&piece[..2], 16).unwrap());
                read.extend(piece[2..].bytes());
            }
            prop_assert_eq!(read, text);
        }

        #[test]
        fn any_time_agrees_with_a_calendar(seconds in 0u64..32_503_680_000, micros in 0u32..1_000_000) {
            let calendar = jiff::Timestamp::new(seconds as i64, micros as i32 * 1000).unwrap();
            prop_assert_eq!(at(seconds, micros), format!("{calendar:.6}"));
        }

        #[test]
        fn any_number_is_written_in_full(value: u64, nanos in 0u32..1_000_000_000) {
            prop_assert_eq!(written(|out| number(out, value)), value.to_string());
            let expected = format!("{}.{:06}", value, nanos / 1000);
            prop_assert_eq!(written(|out| seconds(out, Duration::new(value, nanos))), expected);
        }
    }
}
