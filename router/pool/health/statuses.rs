//! Which status codes a health check accepts: `200`, `200,204`, `200-399`.

use std::ops::RangeInclusive;

/// Accepted status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Reads a list of codes and ranges; `None` when it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let ranges = text.split(',').map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = code(first)?..=code(last)?;
            (!range.is_empty()).then_some(range)
        });
        ranges.collect::<Option<_>>().map(Self)
    }

    pub(super) fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

fn code(text: &str) -> Option<u16> {
    let code = text.trim().parse().ok()?;
    (100..=599).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, accepted: &[u16], refused: &[u16]) {
        let statuses = Statuses::parse(text).unwrap();
        assert!(accepted.iter().all(|&status| statuses.contain(status)));
        assert!(!refused.iter().any(|&status| statuses.contain(status)));
    }

    #[test]
    fn lists_and_ranges_accept_what_they_name() {
        check("200", &[200], &[199, 201]);
        check("200, 204", &[200, 204], &[201, 202]);
        check("200-399", &[200, 302, 399], &[199, 400]);
        check("200,300-302", &[200, 300, 302], &[299, 303]);
    }

    #[test]
    fn anything_else_is_no_list() {
        for text in [
            "",
            "abc",
            "200,",
            "399-200",
            "20",
            "600",
            "200-",
            "-200",
            "200-300-400",
        ] {
            assert_eq!(Statuses::parse(text), None, "{text}");
        }
    }
}
