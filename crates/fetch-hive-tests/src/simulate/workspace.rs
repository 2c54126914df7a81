//! A workspace as the service sees it, and what happens in it.

use std::collections::BTreeMap;

use fetch_hive_client::ApiError;
use fetch_hive_client::core::Operation;
use fetch_hive_client::core::types::InvokeWorkflow;

use crate::scenario::{DAY, HOLD, LEASE, MIDNIGHT, MINUTE, ROWS, SIZES, Scenario};

/// A batch may wait this long behind interactive runs. The rest is the way of the answer.
const MAX_BATCH_WAIT: i64 = 60 * 1_000 + 10;

/// The class of a run. A batch has a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Interactive,
    Batch(usize),
}

/// A run that waits for a slot.
pub(crate) struct Waiting {
    class: Class,
    since: i64,
    /// The interactive runs that arrived later and started earlier, although this run of a batch
    /// had waited long enough.
    overtaken: u32,
}

/// The wait of a run that started.
pub(crate) struct Wait {
    pub(crate) class: Class,
    pub(crate) millis: i64,
    /// Whether the database, the cap or a slot with an unknown end has delayed runs meanwhile.
    pub(crate) is_disturbed: bool,
}

/// The first start after an event that stopped all runs.
#[derive(Clone, Copy)]
pub(crate) struct Recovery {
    pub(crate) at: i64,
    /// The time until it, counted from the arrival of the first waiting run if it came later.
    pub(crate) first_start: Option<i64>,
}

pub(crate) struct Workspace {
    pub(crate) name: String,
    pub(crate) size: u32,
    pub(crate) cap: u64,
    /// The runs of a day that batches may not use, if the limiter knows the cap.
    pub(crate) reserve: Option<u32>,
    /// How late the service resets the cap.
    pub(crate) late_reset: i64,
    pub(crate) peak: u32,
    pub(crate) starts: u64,
    /// The starts of each batch while both have rows.
    pub(crate) batch_starts: [u64; 2],
    pub(crate) refused: BTreeMap<i64, u64>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) gave_up: [u64; 2],
    pub(crate) store_errors: u64,
    /// The most often that a run of a batch was overtaken.
    pub(crate) overtaken: u32,
    pub(crate) after_outage: Recovery,
    pub(crate) after_reset: Recovery,
    /// Slots times milliseconds while runs waited and nothing was disturbed, and those in use.
    pub(crate) contended: [i64; 2],
    rows: [u64; 2],
    taken: [u64; 2],
    waiting: BTreeMap<u64, Waiting>,
    arrivals: u64,
    running: u32,
    day: i64,
    calls_today: u64,
    disturbed_until: i64,
    last_change: i64,
}

impl Workspace {
    pub(crate) fn new(number: usize, scenario: &Scenario) -> Self {
        let size = SIZES[number % SIZES.len()];
        let cap = scenario.cap * u64::from(size);
        // Every tenth service resets its cap two minutes late.
        let late_reset = if number % 10 == 0 { 2 * MINUTE } else { 0 };
        Self {
            name: format!("workspace-{number}"),
            size,
            cap,
            reserve: (number % 2 == 1).then(|| u32::try_from(cap / 10).unwrap_or_default()),
            late_reset,
            peak: 0,
            starts: 0,
            batch_starts: [0; 2],
            refused: BTreeMap::new(),
            waits: Vec::new(),
            gave_up: [0; 2],
            store_errors: 0,
            overtaken: 0,
            after_outage: Recovery { at: scenario.outage.1, first_start: None },
            after_reset: Recovery { at: MIDNIGHT + DAY + late_reset, first_start: None },
            contended: [0; 2],
            rows: [0; 2],
            taken: [0; 2],
            waiting: BTreeMap::new(),
            arrivals: 0,
            running: 0,
            day: 0,
            calls_today: 0,
            disturbed_until: 0,
            last_change: scenario.start,
        }
    }

    pub(crate) fn waiting_runs(&self) -> usize {
        self.waiting.len()
    }

    /// Adds the rows of a round to both batches.
    pub(crate) fn add_rows(&mut self) {
        self.rows = self.rows.map(|rows| rows + ROWS * u64::from(self.size));
    }

    /// Takes a row of a batch. Returns whether there was one.
    pub(crate) fn take_row(&mut self, batch: usize) -> bool {
        let has_row = self.taken[batch] < self.rows[batch];
        self.taken[batch] += u64::from(has_row);
        has_row
    }

    /// Returns a row whose run was not started.
    pub(crate) fn return_row(&mut self, batch: usize) {
        self.taken[batch] -= 1;
    }

    /// Records something that delays the runs of this workspace.
    pub(crate) fn disturb(&mut self, now: i64, until: i64) {
        self.advance(now);
        self.disturbed_until = self.disturbed_until.max(until);
    }

    pub(crate) fn arrive(&mut self, class: Class, now: i64) -> u64 {
        self.advance(now);
        self.arrivals += 1;
        self.waiting.insert(self.arrivals, Waiting { class, since: now, overtaken: 0 });
        self.arrivals
    }

    /// Ends a wait without a slot.
    pub(crate) fn leave(&mut self, number: u64, now: i64) -> bool {
        self.advance(now);
        self.waiting.remove(&number).is_some_and(|waiting| waiting.since < self.disturbed_until)
    }

    /// Ends a wait with a slot, and calls the service. The service answers with a refusal if the
    /// cap is reached.
    #[expect(clippy::result_large_err, reason = "the limiter needs the error as it is")]
    pub(crate) fn call(&mut self, number: u64, now: i64) -> Result<(), ApiError> {
        self.advance(now);
        let earliest = self.waiting.values().map(|waiting| waiting.since).min().unwrap_or(now);
        if let Some(waiting) = self.waiting.remove(&number) {
            let is_disturbed = waiting.since < self.disturbed_until;
            self.waits.push(Wait { class: waiting.class, millis: now - waiting.since, is_disturbed });
            self.overtaken = self.overtaken.max(waiting.overtaken);
            match waiting.class {
                Class::Interactive => self.overtake(number, now),
                Class::Batch(batch) if (0..2).all(|batch| self.taken[batch] < self.rows[batch]) => {
                    self.batch_starts[batch] += 1;
                }
                Class::Batch(_) => {}
            }
        }
        let day = (now - self.late_reset).div_euclid(DAY);
        if day != self.day {
            (self.day, self.calls_today) = (day, 0);
        }
        self.calls_today += 1;
        let left = self.cap.saturating_sub(self.calls_today);
        if left <= u64::from(self.reserve.unwrap_or_default()) {
            // Until the probes after the reset have ended.
            self.disturb(now, (now.div_euclid(DAY) + 1) * DAY + 10 * MINUTE);
        }
        if self.calls_today > self.cap {
            *self.refused.entry(day).or_default() += 1;
            return Err(refusal(self.cap, now));
        }
        self.starts += 1;
        self.running += 1;
        self.peak = self.peak.max(self.running);
        for recovery in [&mut self.after_outage, &mut self.after_reset] {
            if now >= recovery.at {
                recovery.first_start.get_or_insert(now - earliest.max(recovery.at));
            }
        }
        Ok(())
    }

    pub(crate) fn end_run(&mut self, now: i64) {
        self.advance(now);
        self.running -= 1;
    }

    /// Records that an interactive run starts before runs of batches that arrived earlier.
    fn overtake(&mut self, number: u64, now: i64) {
        let has_reserve = self.cap.saturating_sub(self.calls_today) > u64::from(self.reserve.unwrap_or_default()) + 2;
        if has_reserve {
            for (_, waiting) in self.waiting.range_mut(..number) {
                let is_overdue = waiting.class != Class::Interactive && now - waiting.since > MAX_BATCH_WAIT;
                waiting.overtaken += u32::from(is_overdue);
            }
        }
    }

    fn advance(&mut self, now: i64) {
        if !self.waiting.is_empty() && self.last_change >= self.disturbed_until {
            let millis = now - self.last_change;
            self.contended[0] += i64::from(self.size) * millis;
            self.contended[1] += i64::from(self.running) * millis;
        }
        self.last_change = now;
    }

    /// Records that a slot stays occupied although nobody knows when its run ends.
    pub(crate) fn lose_slot(&mut self, now: i64) {
        self.disturb(now, now + LEASE + HOLD + MINUTE);
    }
}

/// The response of the service after the cap is reached.
fn refusal(cap: u64, now: i64) -> ApiError {
    let body =
        format!(r#"{{"error_code":"api_rate_limit_exceeded","error":"Daily limit","limit":{cap},"current":{cap}}}"#);
    let seconds = now.rem_euclid(DAY) / 1_000;
    let day = 1 + now.div_euclid(DAY) - MIDNIGHT / DAY;
    let weekday = if day == 1 { "Mon" } else { "Tue" };
    let date =
        format!("{weekday}, {day:02} Jun 2026 {:02}:{:02}:{:02} GMT", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut response = http::Response::new(body.into());
    *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
    if let Ok(date) = date.parse() {
        response.headers_mut().insert(http::header::DATE, date);
    }
    ApiError::new(&Operation::of::<InvokeWorkflow>(), response)
}
