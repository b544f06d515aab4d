//! Hours of a week in a time zone: `Mon-Thu 10:00-17:00 Asia/Tokyo`.
//!
//! Time zones come from the database that is built in, so a router in an empty container knows them too.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// Hours of a week; without any, all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hours(Option<Window>);

#[derive(Clone, Debug, PartialEq)]
struct Window {
    text: String,
    first: Weekday,
    last: Weekday,
    /// Minutes of the day.
    from: i64,
    to: i64,
    zone: TimeZone,
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// The longest way to the next opening: a week, and a day for a clock that is put forward over it.
const LONGEST_DAYS: i64 = 8;

impl Hours {
    /// Whether `now` is within them.
    pub fn contain(&self, now: Timestamp) -> bool {
        self.0
            .as_ref()
            .is_none_or(|window| window.contains(&now.to_zoned(window.zone.clone())))
    }

    /// The first moment from `now` on that is within them.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let Some(window) = &self.0 else { return now };
        if self.contain(now) {
            return now;
        }
        let zoned = now.to_zoned(window.zone.clone());
        let openings = (0..=LONGEST_DAYS).filter_map(|days| window.opening(&zoned, days));
        let mut later = openings.filter(|opening| *opening > now && self.contain(*opening));
        later.next().unwrap_or(now)
    }

    /// Whether every hour is one of them.
    pub const fn are_all(&self) -> bool {
        self.0.is_none()
    }
}

impl Window {
    fn contains(&self, now: &Zoned) -> bool {
        let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
        let day = now.weekday().to_monday_zero_offset();
        let (first, last) = (
            self.first.to_monday_zero_offset(),
            self.last.to_monday_zero_offset(),
        );
        let is_day = if first <= last {
            (first..=last).contains(&day)
        } else {
            day >= first || day <= last
        };
        is_day && (self.from..self.to).contains(&minute)
    }

    /// When it opens, so many days after the day of `zoned`.
    fn opening(&self, zoned: &Zoned, days: i64) -> Option<Timestamp> {
        let day = zoned
            .start_of_day()
            .ok()?
            .date()
            .checked_add(days.days())
            .ok()?;
        let time = day.at((self.from / 60) as i8, (self.from % 60) as i8, 0, 0);
        Some(time.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let form = || {
            format!(
                "{text:?} is not hours of a week; write days, times and a time zone, as Mon-Thu 10:00-17:00 Asia/Tokyo"
            )
        };
        let mut parts = text.split_whitespace();
        let (Some(days), Some(times), Some(zone), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (first, last) = (day(first).ok_or_else(form)?, day(last).ok_or_else(form)?);
        let (from, to) = times.split_once('-').ok_or_else(form)?;
        let (from, to) = (minute(from).ok_or_else(form)?, minute(to).ok_or_else(form)?);
        if from >= to || from >= 24 * 60 {
            return Err(format!(
                "{times} ends before it begins; hours lie within a day, 00:00-24:00 is all of it"
            ));
        }
        let zone = TimeZone::get(zone).map_err(|_| {
            format!(
                "`{zone}` is no time zone; write a name of the IANA database, as Asia/Tokyo or UTC"
            )
        })?;
        Ok(Self(Some(Window {
            text: text.to_owned(),
            first,
            last,
            from,
            to,
            zone,
        })))
    }
}

fn day(text: &str) -> Option<Weekday> {
    let day = DAYS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    day.map(|(_, day)| *day)
}

/// Minutes of the day of `10:00`.
fn minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2)
            .then(|| text.parse::<i64>().ok())
            .flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    ((0..60).contains(&minute) && (0..=24 * 60).contains(&total)).then_some(total)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", |window| &window.text))
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Hours {
    fn schema_name() -> Cow<'static, str> {
        "Hours".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "hours" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(hours: &str, now: &str, next: &str) {
        let hours: Hours = hours.parse().unwrap();
        assert_eq!(hours.next(time(now)), time(next), "{hours} from {now}");
        assert_eq!(hours.contain(time(now)), now == next, "{hours} at {now}");
    }

    #[test]
    fn hours_are_those_of_their_time_zone() {
        // A Thursday in Tokyo, nine hours before UTC.
        let tokyo = "Mon-Thu 10:00-17:00 Asia/Tokyo";
        check(tokyo, "2026-11-26T01:00:00Z", "2026-11-26T01:00:00Z");
        check(tokyo, "2026-11-26T07:59:59Z", "2026-11-26T07:59:59Z");
        check(tokyo, "2026-11-26T00:59:59Z", "2026-11-26T01:00:00Z");
        check(tokyo, "2026-11-26T08:00:00Z", "2026-11-30T01:00:00Z");
        check(
            "Fri-Mon 00:00-24:00 UTC",
            "2026-11-26T12:00:00Z",
            "2026-11-27T00:00:00Z",
        );
        check(
            "sun 23:30-24:00 UTC",
            "2026-11-26T12:00:00Z",
            "2026-11-29T23:30:00Z",
        );
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_are_followed() {
        let berlin = "Sun 02:30-04:00 Europe/Berlin";
        // 02:30 does not exist on 2026-03-29; it is read as 03:30.
        check(berlin, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z");
        // 02:30 exists twice on 2026-10-25, and the first one opens.
        check(berlin, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z");
    }

    #[test]
    fn all_hours_are_written_as_none() {
        let all: Hours = "".parse().unwrap();
        assert!(all.are_all() && all.contain(time("2026-11-26T03:00:00Z")));
        assert_eq!(
            all.next(time("2026-11-26T03:00:00Z")),
            time("2026-11-26T03:00:00Z")
        );
    }

    #[test]
    fn what_is_no_hours_is_refused_with_the_reason() {
        for (wrong, why) in [
            ("Mon-Thu", "is not hours of a week"),
            ("Mon-Thu 10:00-17:00", "is not hours of a week"),
            ("Mon-Thu 10-17 UTC", "is not hours of a week"),
            ("Mon-Thu 10:00-17:60 UTC", "is not hours of a week"),
            ("Mon-Thu 17:00-10:00 UTC", "ends before it begins"),
            (
                "Mon-Thu 10:00-17:00 Asia/Kyoto",
                "`Asia/Kyoto` is no time zone",
            ),
            ("Weekdays 10:00-17:00 UTC", "is not hours of a week"),
        ] {
            let error = wrong.parse::<Hours>().unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
