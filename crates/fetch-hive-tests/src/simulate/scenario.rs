//! The times and the rates of a simulation.

use std::time::Duration;

pub(crate) const WORKSPACES: usize = 100;
/// The processes of a workspace whose users wait for runs.
pub(crate) const INTERACTIVE: usize = 4;
/// The processes of the two batches of a workspace.
pub(crate) const BATCHES: [usize; 2] = [4, 2];
/// The concurrent runs of the plans.
pub(crate) const SIZES: [u32; 3] = [1, 3, 5];

pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const MINUTE: i64 = 60 * 1_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-06-01 00:00 UTC, in milliseconds since 1970.
pub(crate) const MIDNIGHT: i64 = 20_605 * DAY;

/// How long an interactive call waits for a slot, as the client does by default.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a caller waits before it tries again after an error of the store.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
/// How long the replacement of a killed process takes to start.
pub(crate) const RESTART: Duration = Duration::from_secs(30);
/// The defaults of the limiter.
pub(crate) const LEASE: i64 = 30 * 1_000;
pub(crate) const HOLD: i64 = 15 * MINUTE;

/// The mean and the maximum of the time between two calls of a process, per slot of its workspace,
/// in milliseconds.
pub(crate) const THINK: (f64, f64) = (1_800_000.0, 36_000_000.0);
/// The mean and the maximum of the time of a run, in milliseconds.
pub(crate) const INTERACTIVE_RUN: (f64, f64) = (20_000.0, 120_000.0);
pub(crate) const BATCH_RUN: (f64, f64) = (60_000.0, 600_000.0);
/// The rows of each batch of a round, per slot of its workspace.
pub(crate) const ROWS: u64 = 15;

/// One of this many responses is lost, so that nobody knows when its run ends.
pub(crate) const LOST_RESPONSE: u64 = 400;
/// The mean time between two kills of a process, in milliseconds.
pub(crate) const KILL_INTERVAL: f64 = 600_000.0;
/// The workspaces whose processes are all killed together with the database. They have one slot.
pub(crate) const KILLED_WORKSPACES: [usize; 2] = [0, 3];

/// The times of a simulation. All are milliseconds since 1970.
pub(crate) struct Scenario {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// The times at which rows are added to all batches, and the delay of the last workspace.
    pub(crate) rounds: Vec<(i64, i64)>,
    /// While the database cannot be reached.
    pub(crate) outage: (i64, i64),
    /// The daily cap of a workspace, per slot.
    pub(crate) cap: u64,
}

impl Scenario {
    /// Returns a day from noon to noon, with the reset of the caps at midnight.
    pub(crate) fn day() -> Self {
        let at = |hours: i64, minutes: i64| MIDNIGHT + hours * HOUR + minutes * MINUTE;
        let spread = 2 * HOUR;
        let rounds = vec![
            (at(12, 30), spread),
            (at(17, 0), 0),
            (at(20, 30), spread),
            (at(26, 0), spread),
            (at(30, 0), spread),
            (at(34, 0), spread),
        ];
        Self { start: at(12, 0), end: at(36, 0), rounds, outage: (at(17, 20), at(17, 25)), cap: 150 }
    }

    /// Returns two and a half hours with a reset.
    pub(crate) fn quick() -> Self {
        let at = |minutes: i64| MIDNIGHT + 22 * HOUR + minutes * MINUTE;
        Self { start: at(30), end: at(180), rounds: vec![(at(35), 0)], outage: (at(45), at(50)), cap: 25 }
    }
}

/// A generator of random numbers that a seed determines (splitmix64).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a time in milliseconds with an exponential distribution.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a random time"
    )]
    pub(crate) fn time(&mut self, mean: f64, max: f64) -> Duration {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_millis((-mean * (1.0 - uniform).ln()).clamp(1_000.0, max) as u64)
    }
}
