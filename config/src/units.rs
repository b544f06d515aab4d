//! Durations, sizes and networks as operators write them: `250ms 10s 5m 3d`, `16KiB`, `10.0.0.0/8`.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration as StdDuration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: a whole number and one of `ms s m h d`, or `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub StdDuration);

impl Duration {
    /// So many seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(StdDuration::from_secs(n))
    }

    /// So many milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(StdDuration::from_millis(n))
    }
}

/// A length of time, or `never`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term(pub Option<Duration>);

/// A number of bytes: a whole number and one of `B KiB MiB GiB`, or `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Size {
    /// So many times 1,024 bytes.
    pub const fn kib(n: u64) -> Self {
        Self(n * 1024)
    }
}

/// A network: an address and a prefix length, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(pub IpNet);

impl Cidr {
    /// Whether `address` lies in it; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Status codes: single ones and ranges, `200,204` or `200-399`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// All that say that it worked: 200 to 299.
    pub fn successes() -> Self {
        Self(vec![200..=299])
    }

    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// Status codes of gRPC: single ones and ranges, `0,12` or `0-99`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStatuses(Vec<RangeInclusive<u16>>);

impl GrpcStatuses {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// A text that is not a quantity of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}; write {form}")]
pub struct NotAQuantity {
    given: String,
    kind: &'static str,
    form: &'static str,
}

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
/// A hundred years: a later moment may not exist for the clock.
const LONGEST: u64 = 36_500 * 86_400_000;
const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let unit = &text[end..];
    if unit.is_empty() && number == 0 {
        return Some(0);
    }
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    number.checked_mul(factor)
}

impl FromStr for Duration {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let millis = quantity(text, DURATION_UNITS).ok_or_else(|| NotAQuantity {
            given: text.into(),
            kind: "duration",
            form: "a whole number and one of ms s m h d, as 250ms or 3d",
        })?;
        if millis > LONGEST {
            return Err(NotAQuantity {
                given: text.into(),
                kind: "duration this program can wait for",
                form: "at most 36500d",
            });
        }
        Ok(Self(StdDuration::from_millis(millis)))
    }
}

impl FromStr for Term {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        match text {
            "never" => Ok(Self(None)),
            _ => text.parse().map(|term| Self(Some(term))),
        }
    }
}

impl FromStr for Size {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let bytes = quantity(text, SIZE_UNITS).ok_or_else(|| NotAQuantity {
            given: text.into(),
            kind: "size",
            form: "a whole number and one of B KiB MiB GiB, as 16KiB",
        })?;
        Ok(Self(bytes))
    }
}

impl FromStr for Cidr {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let net = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| NotAQuantity {
            given: text.into(),
            kind: "network",
            form: "an address and a prefix length, as 10.0.0.0/8, or one address",
        })
    }
}

impl FromStr for Statuses {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let ranges = ranges(text, |code| {
            let code = number(code, 3)?;
            (100..=599).contains(&code).then_some(code)
        });
        ranges.map(Self).ok_or_else(|| NotAQuantity {
            given: text.into(),
            kind: "list of status codes",
            form: "codes from 100 to 599 and ranges, as 200,204 or 200-399",
        })
    }
}

/// How many of something: a number, or a percentage of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// This part, 0 to 100.
    Percent(u8),
}

impl Amount {
    /// How many that are of `total`, rounded up.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (total * usize::from(percent)).div_ceil(100),
        }
    }
}

impl FromStr for Amount {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let percent = text.strip_suffix('%').filter(|percent| digits(percent));
        let percent = percent
            .and_then(|percent| percent.parse().ok())
            .filter(|percent| *percent <= 100);
        let count = digits(text).then(|| text.parse().ok()).flatten();
        percent
            .map(Self::Percent)
            .or_else(|| count.map(Self::Count))
            .ok_or_else(|| NotAQuantity {
                given: text.into(),
                kind: "quantity",
                form: "a number or a percentage, as 2 or 50%",
            })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for GrpcStatuses {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let code = |code: &str| number(code, code.len().min(2));
        ranges(text, code).map(Self).ok_or_else(|| NotAQuantity {
            given: text.into(),
            kind: "list of gRPC status codes",
            form: "codes from 0 to 99 and ranges, as 0,12 or 0-99",
        })
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Display for GrpcStatuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

/// As they are written.
fn show(ranges: &[RangeInclusive<u16>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (position, range) in ranges.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        match (range.start(), range.end()) {
            (first, last) if first == last => write!(f, "{comma}{first}")?,
            (first, last) => write!(f, "{comma}{first}-{last}")?,
        }
    }
    Ok(())
}

/// Single numbers and ranges between commas, each number read by `code`.
fn ranges(text: &str, code: impl Fn(&str) -> Option<u16>) -> Option<Vec<RangeInclusive<u16>>> {
    let parts = text.split(',').map(|part| {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = code(first)?..=code(last)?;
        (!range.is_empty()).then_some(range)
    });
    parts.collect()
}

/// A number of so many digits.
fn number(text: &str, n_digits: usize) -> Option<u16> {
    let is_number = text.len() == n_digits && text.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis() as u64;
        let (unit, factor) = DURATION_UNITS
            .iter()
            .rev()
            .find(|(_, factor)| millis.is_multiple_of(*factor))
            .unwrap_or(&("ms", 1));
        if millis == 0 {
            f.write_str("0s")
        } else {
            write!(f, "{}{unit}", millis / factor)
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(term) => term.fmt(f),
            None => f.write_str("never"),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_size = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match by_size
            .iter()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None if self.0 == 0 => f.write_str("0"),
            None => write!(f, "{}B", self.0),
        }
    }
}

macro_rules! as_text {
    ($type:ident, $format:literal$(, $pattern:literal)?) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format $(, "pattern": $pattern)? })
            }
        }
    };
}

as_text!(Duration, "duration", "^(0|[0-9]+(ms|s|m|h|d))$");
as_text!(Term, "term", "^(never|0|[0-9]+(ms|s|m|h|d))$");
as_text!(Size, "size", "^(0|[0-9]+(B|KiB|MiB|GiB))$");
as_text!(Cidr, "cidr");
as_text!(Amount, "amount", "^([0-9]+|([0-9]|[1-9][0-9]|100)%)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_a_whole_number_and_a_unit() {
        let millis = |text: &str| text.parse().ok().map(|d: Duration| d.0.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("3d"), Some(3 * 86_400_000));
        assert_eq!(millis("36500d"), Some(u128::from(LONGEST)));
        for wrong in [
            "",
            "s",
            "5",
            "1.5s",
            "-1s",
            "5 s",
            "5S",
            "36501d",
            "18446744073709551615d",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
        let bytes = |text: &str| text.parse().ok().map(|size: Size| size.0);
        assert_eq!(
            (bytes("16KiB"), bytes("0"), bytes("7B")),
            (Some(16_384), Some(0), Some(7))
        );
        assert_eq!(
            (bytes("16KB"), bytes("1"), bytes("99999999999GiB")),
            (None, None, None)
        );
    }

    #[test]
    fn amounts_are_numbers_and_percentages() {
        let of =
            |text: &str, total: usize| text.parse::<Amount>().map(|amount| amount.of(total)).ok();
        assert_eq!(
            (of("2", 9), of("50%", 5), of("100%", 3), of("0%", 3)),
            (Some(2), Some(3), Some(3), Some(0))
        );
        for wrong in ["", "%", "-1", "101%", "1.5", "50 %", "+2"] {
            assert_eq!(of(wrong, 1), None, "{wrong}");
        }
        assert_eq!(
            "50%".parse::<Amount>().map(|amount| amount.to_string()),
            Ok("50%".into())
        );
    }

    #[test]
    fn quantities_read_back_as_they_are_shown() {
        for text in ["0s", "250ms", "90s", "1m", "400d"] {
            assert_eq!(
                text.parse::<Duration>().map(|d| d.to_string()),
                Ok(text.into())
            );
        }
        for text in ["0", "1025B", "16KiB", "3GiB"] {
            assert_eq!(
                text.parse::<Size>().map(|size| size.to_string()),
                Ok(text.into())
            );
        }
    }

    #[test]
    fn statuses_are_codes_and_ranges() {
        let statuses: Statuses = "200,204, 300-399".parse().unwrap();
        let contained =
            [199, 200, 201, 204, 299, 300, 399, 400].map(|code| statuses.contains(code));
        assert_eq!(
            contained,
            [false, true, false, true, false, true, true, false]
        );
        for wrong in [
            "",
            "200,",
            "20",
            "600",
            "099",
            "+20",
            "399-200",
            "200-",
            "-200",
            "200-300-400",
            "2xx",
        ] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }
    #[test]
    fn statuses_are_shown_as_they_are_written() {
        let shown = |text: &str| text.parse::<Statuses>().map(|list| list.to_string());
        assert_eq!(shown("200, 300-399"), Ok("200,300-399".into()));
        let shown = |text: &str| text.parse::<GrpcStatuses>().map(|list| list.to_string());
        assert_eq!(shown("0,12-99"), Ok("0,12-99".into()));
    }

    #[test]
    fn grpc_statuses_are_codes_of_one_or_two_digits() {
        let statuses: GrpcStatuses = "0, 12-14".parse().unwrap();
        let contained = [0, 1, 11, 12, 14, 15].map(|code| statuses.contains(code));
        assert_eq!(contained, [true, false, false, true, true, false]);
        for wrong in ["", "100", "200", "-1", "12-", "OK", "3-1", "0,,1"] {
            assert!(wrong.parse::<GrpcStatuses>().is_err(), "{wrong}");
        }
    }
}
