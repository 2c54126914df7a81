//! Time as the service writes it: RFC 3339, UTC, to the millisecond.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// The day since 1970.
pub(crate) fn today() -> u64 {
    now_ms() / 86_400_000
}

pub(crate) fn now() -> String {
    at(now_ms())
}

pub(crate) fn after(time: Duration) -> String {
    at(now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

pub(crate) fn at(ms: u64) -> String {
    let nanoseconds = i128::from(ms) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Milliseconds since 1970 of a time in RFC 3339.
pub(crate) fn read(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back() {
        assert_eq!(at(1_700_000_000_250), "2023-11-14T22:13:20.25Z");
        assert_eq!(read(&at(1_700_000_000_250)), Some(1_700_000_000_250));
        assert_eq!(read("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(read("tomorrow"), None);
        assert!(after(Duration::from_secs(u64::MAX)).starts_with("1970") || after(Duration::from_secs(1)) > now());
    }
}
