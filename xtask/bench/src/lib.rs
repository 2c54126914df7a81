//! Helpers that the benchmark programs share.

use std::alloc::System;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// The counters of the counting allocator.
///
/// Counting adds a few nanoseconds to each allocation, so separate programs measure counts and
/// times.
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The API key that every client sends.
pub const KEY: &str = "fhk_0123456789abcdef0123456789abcdef";

/// Returns a memory value of this process in bytes, such as `VmRSS` or `VmHWM`.
///
/// # Panics
///
/// Panics if the system does not report it.
#[must_use]
pub fn memory_bytes(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = found.and_then(|value| value.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or_else(|| panic!("no {figure} in /proc/self/status")) * 1024
}

/// Parses the n-th argument of the command line.
///
/// # Panics
///
/// Panics if the argument is missing or invalid.
#[must_use]
pub fn argument<T: FromStr<Err: Display>>(n: usize, name: &str) -> T {
    let text = std::env::args().nth(n).unwrap_or_else(|| panic!("argument {n} is missing: {name}"));
    text.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The body of the workflow request, for clients without models.
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
    /// Creates the request that every client sends.
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

/// The body of the workflow response, for clients without models.
#[derive(Deserialize)]
pub struct Run {
    pub request_id: String,
    pub run_status: String,
    pub output: Value,
}

/// A measurement of this process: elapsed time, user and system CPU time of all threads, and
/// allocations.
pub struct Meter<'a> {
    start: Instant,
    cpu_time: Duration,
    region: Region<'a, System>,
}

impl Meter<'_> {
    /// Starts a measurement.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), cpu_time: cpu_time(), region: Region::new(ALLOCATOR) }
    }

    /// Returns the cost of each of `count` units of work since the start.
    #[must_use]
    pub fn per(&self, count: usize) -> Cost {
        let (cpu_time, elapsed) = (cpu_time().saturating_sub(self.cpu_time), self.start.elapsed());
        let change = self.region.change();
        let count = count as f64;
        Cost {
            cpu_ns: cpu_time.as_secs_f64() * 1e9 / count,
            wall_ns: elapsed.as_secs_f64() * 1e9 / count,
            allocations: (change.allocations + change.reallocations) as f64 / count,
            bytes: change.bytes_allocated as f64 / count,
        }
    }
}

/// The cost of one unit of work.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    cpu_ns: f64,
    wall_ns: f64,
    allocations: f64,
    bytes: f64,
}

impl Cost {
    /// A cost that is larger than any other.
    pub const MAX: Self =
        Self { cpu_ns: f64::INFINITY, wall_ns: f64::INFINITY, allocations: f64::INFINITY, bytes: f64::INFINITY };

    /// Returns the minimum of each figure.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.min(other.cpu_ns),
            wall_ns: self.wall_ns.min(other.wall_ns),
            allocations: self.allocations.min(other.allocations),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// Formats the cost as a line for `cargo xtask bench`.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        line(name, self)
    }
}

/// Formats a line for `cargo xtask bench`: a name, a tab, and the figures as a JSON object.
///
/// # Panics
///
/// Panics if the figures cannot be serialized.
#[must_use]
pub fn line(name: &str, figures: &impl Serialize) -> String {
    let figures = serde_json::to_string(figures).unwrap_or_else(|error| panic!("{name}: {error}"));
    format!("{name}\t{figures}")
}

/// Returns the user and system CPU time of all threads of this process.
///
/// # Panics
///
/// Panics if the system does not report it.
#[must_use]
pub fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap_or_else(|error| panic!("getrusage: {error}"));
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// Returns the time of the monotonic clock, which all processes of the machine share.
///
/// # Panics
///
/// Panics if the system has no such clock.
#[must_use]
pub fn monotonic() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.unwrap_or_else(|error| panic!("clock_gettime: {error}")).into()
}

/// Raises the limit of open files to its maximum, because each stream needs one.
///
/// # Panics
///
/// Panics if the system has no such limit.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_else(|error| panic!("getrlimit: {error}"));
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap_or_else(|error| panic!("setrlimit: {error}"));
}
