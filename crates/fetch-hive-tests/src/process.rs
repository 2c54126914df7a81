//! The processes of the long tests: a client that is measured, and the service that it calls.

use std::process::ExitCode;

use tokio::runtime::Runtime;

/// The error of a long test.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the service if the first argument is `--serve`, and the measurement of the client
/// otherwise. A number in the first argument replaces the default that is passed to the
/// measurement.
pub fn run_program<S, M>(
    name: &str,
    default: u64,
    serve: impl FnOnce() -> S,
    measure: impl FnOnce(u64) -> M,
) -> ExitCode
where
    S: Future<Output = Result<(), BoxError>>,
    M: Future<Output = Result<(), BoxError>>,
{
    let argument = std::env::args().nth(1);
    let run = || match (Runtime::new()?, argument.as_deref()) {
        (runtime, Some("--serve")) => runtime.block_on(serve()),
        (runtime, number) => runtime.block_on(measure(number.map_or(Ok(default), str::parse)?)),
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts the open sockets of a process, given by its id or `self`.
///
/// # Errors
///
/// Returns an error if the system does not report them.
pub fn sockets(process: &str) -> Result<usize, BoxError> {
    let mut sockets = 0;
    for file in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        let is_socket = |target: std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
        sockets += usize::from(std::fs::read_link(file?.path()).is_ok_and(is_socket));
    }
    Ok(sockets)
}

/// Returns a memory value of this process in KiB, such as `VmRSS` or `VmHWM`.
///
/// # Errors
///
/// Returns an error if the system does not report it.
pub fn memory_kib(figure: &str) -> Result<u64, BoxError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let line = line.ok_or_else(|| format!("no {figure} in /proc/self/status"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
