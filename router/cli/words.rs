//! Numbers, times and names as a tired person reads them. Foreign text never reaches a terminal as it came.

use jiff::Timestamp;

/// A share as a column: `95.00 %`; nothing measured is `-`.
pub(super) fn share(share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{:.2} %", share * 100.0),
        None => "-".into(),
    }
}

/// A share in a sentence: `5 %`, `0.01 %`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

/// Evidence in nats: `7.7`. Less than none is none, which is never told as `-0.0`.
pub(super) fn nats(evidence: f64) -> String {
    match evidence {
        some if some > 0.0 => format!("{some:.1}"),
        _ => "0.0".into(),
    }
}

/// `1 route`, `2 routes`.
pub(super) fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// Bytes in one unit: `512 B`, `1.5 MiB`.
pub(super) fn bytes(n: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (n, 0);
    while n >= 1024.0 && unit + 1 < UNITS.len() {
        (n, unit) = (n / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{n:.0} B"),
        _ => format!("{n:.1} {}", UNITS[unit]),
    }
}

/// A length of time in one unit: `40 s`, `3 h`.
pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A moment, absolute and seen from `now`: `2026-11-21 02:06:10 UTC, 3 h ago`.
pub(super) fn moment(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => format!("{}, {}", clock(then), ago(then, now)),
        Err(_) => clean(time),
    }
}

/// A moment as a column: `2026-11-21 02:06:10`.
pub(super) fn moment_utc(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => then.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => clean(time),
    }
}

/// How long ago: `3 h ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.as_second() - then.as_second()))
}

/// How long since `time`: `3 h`.
pub(super) fn since(time: &str, now: Timestamp) -> Option<String> {
    let then = time.parse::<Timestamp>().ok()?;
    Some(duration(now.as_second() - then.as_second()))
}

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text of others: what would move the cursor, color or turn the line around is shown, not done.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || is_direction(letter) {
            clean.extend(letter.escape_default());
        } else {
            clean.push(letter);
        }
    }
    clean
}

/// A reason in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text))
}

/// A word for the operator's shell, quoted only when it must be.
pub(super) fn shell(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Columns that `text` takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.chars()
        .map(|letter| if is_wide(letter) { 2 } else { 1 })
        .sum()
}

fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// East Asian wide letters and emoji: reasons are written in the operators' language.
fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_a_hundredth_of_a_percent() {
        assert_eq!(share(Some(0.0001)), "0.01 %");
        assert_eq!(share(Some(1.0)), "100.00 %");
        assert_eq!(share(None), "-");
        assert_eq!(percent(0.05), "5 %");
        assert_eq!(percent(0.0001), "0.01 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0 %");
    }

    #[test]
    fn evidence_is_never_less_than_none() {
        let told = [7.66, 0.04, 0.0, -0.0, -0.04, -2.1].map(nats);
        assert_eq!(told, ["7.7", "0.0", "0.0", "0.0", "0.0", "0.0"]);
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let told = |time: &str| moment(time, now);
        assert_eq!(
            told("2026-11-21T11:59:20Z"),
            "2026-11-21 11:59:20 UTC, 40 s ago"
        );
        assert_eq!(
            told("2026-11-21T11:30:00Z"),
            "2026-11-21 11:30:00 UTC, 30 min ago"
        );
        assert_eq!(
            told("2026-11-21T09:00:00Z"),
            "2026-11-21 09:00:00 UTC, 3 h ago"
        );
        assert_eq!(
            told("2026-11-01T09:00:00Z"),
            "2026-11-01 09:00:00 UTC, 20 d ago"
        );
        assert_eq!(
            told("2026-11-21T12:00:09Z"),
            "2026-11-21 12:00:09 UTC, 0 s ago"
        );
        assert_eq!(told("yesterday"), "yesterday");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[31mb\nc\u{202e}d"),
            "a\\u{1b}[31mb\\nc\\u{202e}d"
        );
        assert_eq!(clean("理由: ok"), "理由: ok");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(columns("ecs"), 3);
        assert_eq!(columns("理由"), 4);
    }

    #[test]
    fn words_are_quoted_for_the_shell_only_when_they_must_be() {
        assert_eq!(shell("blogs"), "blogs");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
    }
}
