use std::process::Command;

use super::binaries::Binaries;
use super::report::{Row, Target};
use crate::python;
use crate::python_sdk::SDK;
use crate::run::{capture_output, workspace_root};

/// Rounds of each measurement; the best one counts.
const ROUNDS: usize = 7;

/// The argument of the benchmark program, the title, and the number of calls of each client.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("ours", "ours", "20000"),
    ("hyper", "raw hyper", "20000"),
    ("prebuilt", "raw hyper with a prebuilt request", "20000"),
    ("reqwest", "reqwest", "20000"),
    ("ureq", "ureq", "4000"),
];

/// Measures a workflow call.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let url = &*server.url;
    let mut rows = Vec::new();
    let mut ours_ns = f64::INFINITY;
    for concurrency in ["64", "1"] {
        let mut times = [f64::INFINITY; CLIENTS.len()];
        let mut rates = [0.0_f64; CLIENTS.len()];
        for _ in 0..ROUNDS {
            for (n, (client, _, calls)) in CLIENTS.iter().enumerate() {
                let figures = binaries.run("call", &[client, url, concurrency, calls])?;
                times[n] = times[n].min(figures.first("cpu_ns")?);
                rates[n] = rates[n].max(1e9 / figures.first("wall_ns")?);
            }
        }
        ours_ns = ours_ns.min(times[0]);
        for (n, (client, title, _)) in CLIENTS.iter().enumerate().skip(1) {
            let title = format!("CPU time, {concurrency} concurrent, vs {title}");
            let row = Row::new(title, times[0] / 1e3, times[n] / 1e3, " µs", 1);
            rows.push(if (*client, concurrency) == ("hyper", "64") { row.target(Target::AtMost(1.1)) } else { row });
        }
        for (n, (_, title, _)) in CLIENTS.iter().enumerate().skip(1) {
            let title = format!("calls per second, {concurrency} concurrent, vs {title}");
            rows.push(Row::new(title, rates[0], rates[n], "/s", 0));
        }
    }
    rows.extend(allocations(binaries, url)?);
    rows.extend(instructions(binaries, url)?);
    rows.extend(python_sdk(url, ours_ns)?);
    Ok(rows)
}

/// Counts the allocations of a call. They do not depend on the load, so one round is enough.
fn allocations(binaries: &Binaries, url: &str) -> Result<Vec<Row>, String> {
    let mut counts = Vec::new();
    for (client, title, _) in CLIENTS {
        let figures = binaries.run("call_count", &[client, url, "64", "4000"])?;
        counts.push((title, figures.first("allocations")?, figures.first("bytes")?));
    }
    let (_, ours, bytes) = counts[0];
    let mut rows = Vec::new();
    for (title, allocations, _) in &counts[1..] {
        let row = Row::new(format!("allocations, vs {title}"), ours, *allocations, "", 0);
        let target = Target::OursAtMost { ours: ours.round(), limit: 40.0 };
        rows.push(if *title == "raw hyper" { row.target(target) } else { row });
    }
    for (title, _, peer) in &counts[1..] {
        rows.push(Row::new(format!("bytes allocated, vs {title}"), bytes, *peer, "", 0));
    }
    Ok(rows)
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
    Ok(vec![
        Row::new("instructions, vs raw hyper", ours, per_call("hyper")?, "", 0),
        Row::new("instructions, vs reqwest", ours, per_call("reqwest")?, "", 0).target(Target::AtMost(1.0)),
    ])
}

/// Measures the official Python SDK, if Python 3 is installed.
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
