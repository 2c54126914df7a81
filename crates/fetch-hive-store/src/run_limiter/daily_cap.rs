//! The pause after the service refused a run because of the daily cap.

use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::header::DATE;

use crate::StoreError;
use crate::database::Tx;

/// A day in milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1_000;

const MINUTE: i64 = 60 * 1_000;

/// If the service refuses a run within this time after the expected reset, it has not reset the cap
/// yet.
const LATE_RESET: i64 = 15 * MINUTE;

/// How often the probe is repeated if the reset is late: after 1, 2 and 4 minutes.
const MAX_PROBES: i64 = 3;

/// Returns the time from the response's `Date` header, in milliseconds since 1970.
pub(super) fn date(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Pauses the limiter until the cap is reset, or until the next probe.
pub(super) async fn pause(tx: &mut Tx, name: &str, date: Option<i64>) -> Result<(), StoreError> {
    let sql = "SELECT reset_at, probes FROM fetch_hive_limit WHERE name = $1 FOR UPDATE";
    let Some(mut row) = tx.row(sql, &[name.into()]).await? else { return Ok(()) };
    let (reset_at, probes) = (row.int(), row.int());
    let now = tx.now().await?;
    let is_late = (0..LATE_RESET).contains(&(now - reset_at)) && probes < MAX_PROBES;
    let (until, reset_at, probes) = if is_late {
        (now + (MINUTE << probes), reset_at, probes + 1)
    } else {
        // The next midnight by the service's clock.
        let reset_at = now + DAY - date.unwrap_or(now).rem_euclid(DAY);
        (reset_at, reset_at, 0)
    };
    let sql = "UPDATE fetch_hive_limit SET paused_until = $2, reset_at = $3, probes = $4, probe = 0 WHERE name = $1";
    tx.execute(sql, &[name.into(), until.into(), reset_at.into(), probes.into()]).await
}
