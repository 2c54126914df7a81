//! What the measurements share.

use std::alloc::System;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// The counts of the allocator that the programs which count have. Counting costs each allocation some nanoseconds, so that counts and
/// times come from two programs.
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The key that every client sends.
pub const KEY: &str = "fhk_0123456789abcdef0123456789abcdef";

/// The n-th argument of the command line.
///
/// # Panics
///
/// When it is missing or of another form: the commands are run by `cargo xtask bench`.
#[must_use]
pub fn argument<T: FromStr<Err: Display>>(n: usize, name: &str) -> T {
    let text = std::env::args().nth(n).unwrap_or_else(|| panic!("argument {n} is missing: {name}"));
    text.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The request as one writes it by hand.
#[derive(Serialize)]
pub struct Request {
    deployment: &'static str,
    inputs: Inputs,
}

#[derive(Serialize)]
struct Inputs {
    topic: &'static str,
    audience: &'static str,
}

impl Request {
    /// The one request that every client sends.
    #[must_use]
    pub fn new() -> Self {
        Self { deployment: "weekly-report", inputs: Inputs { topic: "enterprise AI", audience: "board" } }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

/// The reply as one reads it by hand.
#[derive(Deserialize)]
pub struct Run {
    pub request_id: String,
    pub run_status: String,
    pub output: Value,
}

/// What some work took of this process: processor time of all its threads, user and system together, and allocations.
pub struct Meter<'a> {
    began: Instant,
    processor: Duration,
    region: Region<'a, System>,
}

impl Meter<'_> {
    /// Starts to measure.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now(), processor: processor(), region: Region::new(ALLOCATOR) }
    }

    /// What it took since then, for each of `count` units of work.
    #[must_use]
    pub fn per(&self, count: usize) -> Took {
        let (processor, elapsed) = (processor().saturating_sub(self.processor), self.began.elapsed());
        let change = self.region.change();
        let count = count as f64;
        Took {
            cpu_ns: processor.as_secs_f64() * 1e9 / count,
            wall_ns: elapsed.as_secs_f64() * 1e9 / count,
            allocations: (change.allocations + change.reallocations) as f64 / count,
            bytes: change.bytes_allocated as f64 / count,
        }
    }
}

/// What one unit of work took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Took {
    cpu_ns: f64,
    wall_ns: f64,
    allocations: f64,
    bytes: f64,
}

impl Took {
    /// Longer than anything.
    pub const NEVER: Self =
        Self { cpu_ns: f64::INFINITY, wall_ns: f64::INFINITY, allocations: f64::INFINITY, bytes: f64::INFINITY };

    /// The less of each.
    #[must_use]
    pub fn better(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.min(other.cpu_ns),
            wall_ns: self.wall_ns.min(other.wall_ns),
            allocations: self.allocations.min(other.allocations),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// One line for `cargo xtask bench`: what was measured, and a JSON object.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        line(name, self)
    }
}

/// One line for `cargo xtask bench`: what was measured, a tab, and the figures as a JSON object.
///
/// # Panics
///
/// When the figures cannot be written.
#[must_use]
pub fn line(name: &str, figures: &impl Serialize) -> String {
    let figures = serde_json::to_string(figures).unwrap_or_else(|error| panic!("{name}: {error}"));
    format!("{name}\t{figures}")
}

fn processor() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap_or_else(|error| panic!("getrusage: {error}"));
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// The time of the clock that all processes of this machine share.
///
/// # Panics
///
/// Where there is no such clock.
#[must_use]
pub fn monotonic() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.unwrap_or_else(|error| panic!("clock_gettime: {error}")).into()
}

/// Raises the limit of open files as far as it may be: a stream is one.
///
/// # Panics
///
/// Where there is no such limit.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_else(|error| panic!("getrlimit: {error}"));
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap_or_else(|error| panic!("setrlimit: {error}"));
}
