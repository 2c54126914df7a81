//! Times in the service's format: RFC 3339, UTC, with milliseconds.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the current Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the number of days since 1970-01-01 (UTC).
pub(crate) fn today() -> u64 {
    now_ms() / 86_400_000
}

/// Returns the current time as text.
pub(crate) fn now() -> String {
    format_ms(now_ms())
}

/// Returns the time after a delay as text.
pub(crate) fn after(delay: Duration) -> String {
    format_ms(now_ms().saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
}

/// Formats a Unix time in milliseconds.
pub(crate) fn format_ms(ms: u64) -> String {
    let nanoseconds = i128::from(ms) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Parses a time in RFC 3339 into a Unix time in milliseconds.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_times_parse_back() {
        assert_eq!(format_ms(1_700_000_000_250), "2023-11-14T22:13:20.25Z");
        assert_eq!(parse_ms(&format_ms(1_700_000_000_250)), Some(1_700_000_000_250));
        assert_eq!(parse_ms("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(parse_ms("tomorrow"), None);
        assert!(after(Duration::from_secs(u64::MAX)).starts_with("1970") || after(Duration::from_secs(1)) > now());
    }
}
