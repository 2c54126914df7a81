//! Texts for terminals.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// Returns a text on one line, without characters that control a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\t' => Some(' '),
            _ if is_control(character) => None,
            _ => Some(character),
        })
        .collect()
}

/// Returns a text without characters that control a terminal, except for line breaks and tabs.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| matches!(character, '\n' | '\t') || !is_control(*character)).collect()
}

/// Control characters, and the characters that change the direction of a text.
fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Formats a time such as `2026-01-31 09:00:00 UTC`.
pub(crate) fn utc(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", time.hour(), time.minute(), time.second())
}

/// Formats a number of milliseconds since 1970.
pub(crate) fn utc_millis(millis: i64) -> String {
    utc(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
}

/// Formats a duration such as `850 ms`, `12.3 s` or `4 min 10 s`.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Formats a duration in its largest units, such as `45 s`, `21 min`, `3 h 20 min` or `1 d 15 h`.
pub(crate) fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=59 => format!("{seconds} s"),
        seconds @ 60..=3_599 => format!("{} min", seconds / 60),
        seconds @ 3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        seconds => format!("{} d {} h", grouped(seconds / 86_400), seconds / 3_600 % 24),
    }
}

/// Formats a number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Parses a duration such as `30s`, `10m`, `1h`, `500ms` or `45` (seconds).
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit `{unit}`; use a number with ms, s, m or h, such as 10m")),
    };
    let number: f64 = number.parse().map_err(|_| "use a number with ms, s, m or h, such as 10m".to_owned())?;
    let duration = Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, millis) in [("30s", 30_000), ("10m", 600_000), ("1h", 3_600_000), ("500ms", 500), ("1.5", 1_500)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "s", "10d", "-1", "1e999"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_durations_are_formatted() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 59, 1_300, 12_000, 142_000].map(|seconds| rounded(Duration::from_secs(seconds))),
            ["0 s", "59 s", "21 min", "3 h 20 min", "1 d 15 h"]
        );
    }

    #[test]
    fn texts_cannot_control_the_terminal() {
        assert_eq!(one_line("a\x1b[31m\nb\u{202e}c"), "a[31m bc");
        assert_eq!(printable("a\x1b]0;title\x07\n\tb\r"), "a]0;title\n\tb");
    }

    #[test]
    fn times_and_durations_are_short() {
        assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)), "1970-01-02 00:00:00 UTC");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(250)), "4 min 10 s");
    }
}
