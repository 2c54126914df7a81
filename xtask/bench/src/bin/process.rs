//! Measures a program from its start to its end.
//!
//! Usage: `process COUNT PROGRAM [ARGUMENT…]`. It runs the program COUNT times, and prints one line
//! with the shortest time and the smallest CPU time of a run.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fetch_hive_bench::{argument, line};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

fn main() -> io::Result<()> {
    let count: usize = argument(1, "COUNT");
    let program: String = argument(2, "PROGRAM");
    let (mut wall_time, mut cpu_time) = (Duration::MAX, Duration::MAX);
    for _ in 0..count {
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(3)).stdin(Stdio::null()).stdout(Stdio::null());
        let (start, before) = (Instant::now(), children_cpu_time()?);
        let status = command.status()?;
        wall_time = wall_time.min(start.elapsed());
        cpu_time = cpu_time.min(children_cpu_time()?.saturating_sub(before));
        assert!(status.success(), "{program}: {status}");
    }
    let figures = serde_json::json!({ "wall_ns": wall_time.as_nanos(), "cpu_ns": cpu_time.as_nanos() });
    println!("{}", line("process", &figures));
    Ok(())
}

/// Returns the user and system CPU time of the processes that have ended.
fn children_cpu_time() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}
