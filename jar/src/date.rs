//! Dates as browsers read them in `Expires` (RFC 6265 section 5.1.1): nearly anything that names a day and a time.

/// Seconds since 1970 of a date; `None` when it is none.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let mut date = Parts::default();
    for token in text.split(|byte| is_delimiter(*byte)) {
        if !token.is_empty() {
            date.take(token);
        }
    }
    date.seconds()
}

#[derive(Default)]
struct Parts {
    time: Option<[u32; 3]>,
    day: Option<u32>,
    month: Option<u32>,
    year: Option<u32>,
}

impl Parts {
    /// Each token is the first of these that it can be and that was not there yet.
    fn take(&mut self, token: &[u8]) {
        if self.time.is_none()
            && let Some(time) = time(token)
        {
            self.time = Some(time);
        } else if self.day.is_none()
            && let Some(day) = number(token, 1, 2)
        {
            self.day = Some(day);
        } else if self.month.is_none()
            && let Some(month) = month(token)
        {
            self.month = Some(month);
        } else if self.year.is_none()
            && let Some(year) = number(token, 2, 4)
        {
            self.year = Some(year);
        }
    }

    fn seconds(&self) -> Option<i64> {
        let ([hour, minute, second], day, month) = (self.time?, self.day?, self.month?);
        let year = match self.year? {
            year @ 70..=99 => year + 1900,
            year @ 0..=69 => year + 2000,
            year => year,
        };
        let is_date = (1..=days_in(month, year)).contains(&day) && year >= 1601;
        if !is_date || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = i64::from(hour * 3600 + minute * 60 + second);
        Some(days(i64::from(year), i64::from(month), i64::from(day)) * 86_400 + seconds)
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E)
}

/// A number of `min` to `max` digits, which something else than a digit may follow.
fn number(token: &[u8], min: usize, max: usize) -> Option<u32> {
    let n_digits = token
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (min..=max).contains(&n_digits).then(|| {
        let digits = token[..n_digits].iter();
        digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    })
}

fn time(token: &[u8]) -> Option<[u32; 3]> {
    let mut parts = token.splitn(3, |byte| *byte == b':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let exact = |part: &[u8]| {
        let is_number = part.iter().all(u8::is_ascii_digit);
        number(part, 1, 2).filter(|_| is_number)
    };
    Some([exact(hour)?, exact(minute)?, number(second, 1, 2)?])
}

fn month(token: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let name = token.get(..3)?;
    (1..)
        .zip(NAMES)
        .find(|(_, month)| name.eq_ignore_ascii_case(month))
        .map(|(number, _)| number)
}

fn days_in(month: u32, year: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, by the Gregorian calendar in eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn dates_are_read_as_browsers_do() {
        let morning = Some(1_794_992_828);
        check("Wed, 18 Nov 2026 09:07:08 GMT", morning);
        check("Wed, 18-Nov-2026 09:07:08 GMT", morning);
        check("Wednesday, 18-Nov-26 09:07:08 GMT", morning);
        check("Wed Nov 18 9:7:8 2026", morning);
        check("09:07:08 18 november 2026", morning);
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Thu, 01-Jan-70 00:00:01 GMT", Some(1));
        check("29 Feb 2028 00:00:00", Some(1_835_395_200));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
    }

    #[test]
    fn what_names_no_moment_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Wed, 18 Nov 2026",
            "09:07:08",
            "29 Feb 2027 00:00:00",
            "31 Apr 2026 00:00:00",
            "18 Nov 1600 00:00:00",
            "18 Nov 2026 24:00:00",
            "18 Nov 2026 00:60:00",
            "0 Nov 2026 00:00:00",
        ] {
            check(text, None);
        }
    }
}
