use super::binaries::{Binaries, Server};
use super::report::{Row, Target};
use crate::dist::static_binary;
use crate::python;
use crate::python_sdk::SDK;
use crate::run::workspace_root;

/// Rounds of each measurement. The programs take turns, and the best round counts.
const ROUNDS: usize = 10;

/// A program with its arguments, and its environment variables.
struct Program<'a> {
    command: Vec<&'a str>,
    variables: Vec<(&'a str, &'a str)>,
}

/// The shortest time and the smallest CPU time of a process, in milliseconds.
#[derive(Clone, Copy)]
struct Best {
    time: f64,
    cpu_time: f64,
}

/// Measures the start of the command line, and a process with one call.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let binary = static_binary("fetch-hive-cli", "--all-features", "fetch-hive")?.display().to_string();
    let version = Program { command: vec![&binary, "--version"], variables: Vec::new() };
    let nothing = Program { command: vec!["/bin/true"], variables: Vec::new() };
    let best = alternate(binaries, &[version, nothing])?;
    let (ours, limit) = (best[0].time, (300.0 * best[1].time + 500.0).round() / 100.0);
    let row = Row::new("time of `fetch-hive --version`, vs `true`", ours, best[1].time, " ms", 2);
    let mut rows = vec![row.target(Target::OursAtMost { ours, limit })];
    rows.extend(calls(binaries, &binaries.server()?, &binary)?);
    Ok(rows)
}

/// Measures a process with one call over TLS, whose server has a private root certificate.
fn calls(binaries: &Binaries, server: &Server, binary: &str) -> Result<Vec<Row>, String> {
    let home = workspace_root().join("target/bench/home").display().to_string();
    let url = format!("{}/v1", server.http2_url);
    let variables = vec![
        ("FETCH_HIVE_API_KEY", "fhk_0123456789abcdef0123456789abcdef"),
        ("FETCH_HIVE_BASE_URL", &*url),
        ("SSL_CERT_FILE", &*server.certificate),
        ("HOME", &*home),
    ];
    let run = [binary, "-q", "workflow", "run", "weekly-report", "-i", "topic=enterprise AI", "-i", "audience=board"];
    let hyper = binaries.path("once").display().to_string();
    let mut programs = vec![
        Program { command: run.to_vec(), variables: variables.clone() },
        Program { command: [&run[..], &["--no-history"]].concat(), variables: variables.clone() },
        Program { command: vec![&hyper, &server.http2_url, &server.certificate], variables: Vec::new() },
    ];
    let script = workspace_root().join("xtask/src/bench/once.py").display().to_string();
    let python = if python::is_installed() {
        python::virtual_environment("python-sdk", &[SDK])?.display().to_string()
    } else {
        println!("   Python SDK: SKIPPED, Python 3 is not installed");
        String::new()
    };
    if !python.is_empty() {
        programs.push(Program { command: vec![&python, &script, &server.tls_url], variables });
    }
    let best = alternate(binaries, &programs)?;
    let [ours, no_history, hyper, python @ ..] = &*best else { return Err("too few programs".to_owned()) };
    let title = "of a process with one call over TLS";
    let mut rows = vec![
        Row::new(format!("time {title}, vs raw hyper"), ours.time, hyper.time, " ms", 2).target(Target::AtMost(1.2)),
        Row::new(format!("CPU time {title}, vs raw hyper"), ours.cpu_time, hyper.cpu_time, " ms", 2),
        Row::new(format!("time {title}, without the history, vs raw hyper"), no_history.time, hyper.time, " ms", 2),
    ];
    for python in python {
        let title = format!("time {title}, vs the official Python SDK");
        rows.push(Row::new(title, ours.time, python.time, " ms", 2));
    }
    Ok(rows)
}

/// Runs the programs in turns, and returns the best round of each.
fn alternate(binaries: &Binaries, programs: &[Program<'_>]) -> Result<Vec<Best>, String> {
    let mut best = vec![Best { time: f64::INFINITY, cpu_time: f64::INFINITY }; programs.len()];
    for _ in 0..ROUNDS {
        for (best, Program { command, variables }) in best.iter_mut().zip(programs) {
            let figures = binaries.run_with("process", &[&["5"], &**command].concat(), variables)?;
            best.time = best.time.min(figures.first("wall_ns")? / 1e6);
            best.cpu_time = best.cpu_time.min(figures.first("cpu_ns")? / 1e6);
        }
    }
    Ok(best)
}
