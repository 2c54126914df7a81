use std::process::Command;

use super::binaries::Binaries;
use super::report::{Row, Target};
use crate::python;
use crate::python_sdk::SDK;
use crate::run::{capture_output, workspace_root};

/// Rounds of each measurement; the best one counts.
const ROUNDS: usize = 7;

/// The argument of the benchmark program, and the number of calls of each client.
const CLIENTS: [(&str, &str); 4] = [("ours", "20000"), ("hyper", "20000"), ("reqwest", "20000"), ("ureq", "4000")];

/// The peers in [`CLIENTS`].
const PEERS: &str = "raw hyper / reqwest / ureq";

/// Measures a workflow call without TLS.
///
/// Every client sends the same `POST /workflow/invoke` to the same server, which is a separate
/// process, and parses the same response into a struct. CPU time is the user and system time of the
/// client's process (`getrusage`), after a warm-up. Asynchronous clients run on one thread, and
/// ureq has one thread per concurrent call. reqwest and ureq use the default timeouts of our
/// client.
///
/// "Raw hyper" is hyper-util's pooled client with `http::Request::post(…)` and serde. It has no
/// TLS, proxies, gzip, timeouts, retries or checks. Our transport pools its connections itself, on
/// top of `hyper::client::conn`. This is cheaper than hyper-util's pool, and the difference pays
/// for most of our additional work.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let url = &*server.url;
    let mut times = [f64::INFINITY; CLIENTS.len()];
    for _ in 0..ROUNDS {
        for (best, (client, calls)) in times.iter_mut().zip(CLIENTS) {
            *best = best.min(binaries.run("call", &[client, url, "64", calls])?.first("cpu_ns")?);
        }
    }
    let row = |peer: &f64| Row::new("", times[0] / 1e3, peer / 1e3, " µs", 1);
    let mut rows: Vec<_> = times[1..].iter().map(row).collect();
    rows[0] = row(&times[1]).target(Target::AtMost(1.1));
    let title = format!("CPU time of a call without TLS, 64 concurrent, vs {PEERS}");
    let mut rows = vec![Row::merge(title, &rows), allocations(binaries, url)?];
    rows.extend(instructions(binaries, url)?);
    rows.extend(python_sdk(url, times[0])?);
    Ok(rows)
}

/// Counts the allocations of a call, with a counting allocator.
///
/// They do not depend on the load, so one round is enough.
fn allocations(binaries: &Binaries, url: &str) -> Result<Row, String> {
    let count = |client| binaries.run("call_count", &[client, url, "64", "4000"])?.first("allocations");
    let ours = count("ours")?;
    let row = |(client, _)| Ok(Row::new("", ours, count(client)?, "", 0));
    let mut rows = CLIENTS.into_iter().skip(1).map(row).collect::<Result<Vec<_>, String>>()?;
    let target = Target::OursAtMost { ours: ours.round(), limit: 40.0 };
    rows = rows.into_iter().map(|row| row.target(target)).collect();
    Ok(Row::merge(format!("allocations of a call, vs {PEERS}"), &rows))
}

/// Counts the instructions of a call with callgrind, if valgrind is installed.
///
/// The count is the difference between 4,000 and 2,000 calls, so that the start of the program does
/// not matter.
fn instructions(binaries: &Binaries, url: &str) -> Result<Vec<Row>, String> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("   instructions: SKIPPED, valgrind is not installed");
        return Ok(Vec::new());
    }
    let total = |client: &str, calls: &str| binaries.instructions("call", &[client, url, "64", calls]);
    let per_call = |client: &str| Ok::<_, String>((total(client, "4000")? - total(client, "2000")?) / 2_000.0);
    let ours = per_call("ours")?;
    let hyper = Row::new("", ours, per_call("hyper")?, "", 0);
    let reqwest = Row::new("", ours, per_call("reqwest")?, "", 0).target(Target::AtMost(1.0));
    Ok(vec![Row::merge("instructions of a call without TLS, vs raw hyper / reqwest", &[hyper, reqwest])])
}

/// Measures the official Python SDK, if Python 3 is installed.
///
/// It sends one call after another. It creates a new `httpx.Client` for each call, which loads the
/// certificates and opens a connection.
fn python_sdk(url: &str, ours_ns: f64) -> Result<Vec<Row>, String> {
    if !python::is_installed() {
        println!("   Python SDK: SKIPPED, Python 3 is not installed");
        return Ok(Vec::new());
    }
    let python = python::virtual_environment("python-sdk", &[SDK])?;
    let script = workspace_root().join("xtask/src/bench/call.py");
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let text = capture_output(Command::new(&python).arg(&script).args([url, "300"]))?;
        let ns = text.trim().parse().map_err(|_| format!("call.py printed {text:?} instead of nanoseconds"))?;
        best = best.min(ns);
    }
    let title = "calls per second of CPU time, vs the official Python SDK";
    Ok(vec![Row::new(title, 1e9 / ours_ns, 1e9 / best, "", 0).target(Target::AtLeast(200.0))])
}
