use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::binaries::Binaries;
use super::report::{Row, Target};
use crate::run::workspace_root;

/// How often each measurement runs. The best value counts.
const REPETITIONS: usize = 3;

/// Measures how fast a receiver verifies and stores the callbacks of pending runs.
///
/// It receives 20,000 callbacks of runs of the same process, 64 at a time, while at most 2,000 runs
/// are pending. The bare writer inserts the same bodies with one thread, in groups of at most 64
/// rows.
pub(crate) fn deliveries(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let rates = best(REPETITIONS, |client| {
        let file = new_folder()?.join("runs.db").display().to_string();
        binaries.run("store", &[client, "deliveries", &file, "20000"])?.first("per_second")
    })?;
    let title = "deliveries stored per second, SQLite, vs a bare writer with group commit";
    Ok(vec![Row::new(title, rates[0], rates[1], "/s", 0).target(Target::AtLeast(0.6))])
}

/// Measures run slots in a store, and how soon another process learns of a delivery.
///
/// Eight clients acquire and release slots of one limit with 64 slots, so that none waits. The bare
/// loop is `BEGIN`, `UPDATE` of one row, `COMMIT`. For the wake-up, a second process waits for a
/// run, or listens, and the time ends when its line has been read. The PostgreSQL server is new for
/// each measurement, on the same machine, with its default
/// settings.
pub(crate) fn slots(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let rates = best(REPETITIONS, |client| {
        let server = Server::start(binaries)?;
        binaries.run("store", &[client, "slots", &server.url, "4000"])?.first("per_second")
    })?;
    let title = "slots acquired and released per second, PostgreSQL, vs a bare `UPDATE … COMMIT`";
    let slots = Row::new(title, rates[0], rates[1], "/s", 0).target(Target::AtLeast(0.5));

    let mut delays = [[f64::INFINITY; 2]; 2];
    for _ in 0..REPETITIONS {
        for (client, best) in ["ours", "bare"].iter().zip(&mut delays) {
            let server = Server::start(binaries)?;
            let figures = binaries.run("store", &[client, "wake-ups", &server.url, "1000"])?;
            *best = [best[0].min(figures.first("median_us")?), best[1].min(figures.first("p99_us")?)];
        }
    }
    let row = |n: usize| Row::new("", delays[0][n] / 1e3, delays[1][n] / 1e3, " ms", 2).target(Target::AtMost(3.0));
    let title = "time to store a delivery and wake another process, PostgreSQL, median / 99th percentile, vs \
        `INSERT` and `NOTIFY`";
    Ok(vec![slots, Row::merge(title, &[row(0), row(1)])])
}

/// Returns an empty folder for a database.
pub(super) fn new_folder() -> Result<PathBuf, String> {
    let folder = workspace_root().join("target/bench/store");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Measures ours and the bare loop in turn, and returns the highest rate of each.
fn best(repetitions: usize, measure: impl Fn(&str) -> Result<f64, String>) -> Result<[f64; 2], String> {
    let mut best = [0_f64; 2];
    for _ in 0..repetitions {
        for (best, client) in best.iter_mut().zip(["ours", "bare"]) {
            *best = best.max(measure(client)?);
        }
    }
    Ok(best)
}

/// A throwaway PostgreSQL server, which is stopped when this is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(binaries: &Binaries) -> Result<Self, String> {
        let mut command = Command::new(binaries.path("store"));
        command.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = command.spawn().map_err(|error| format!("cannot start the server: {error}"))?;
        let mut server = Self { process, url: String::new() };
        let stdout = server.process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(stdout).read_line(&mut server.url).map_err(|error| error.to_string())?;
        server.url = server.url.trim().to_owned();
        if server.url.is_empty() { Err("the server printed no URL".into()) } else { Ok(server) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input stops the server.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
