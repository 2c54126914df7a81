use super::programs::Programs;
use super::table::{Row, Target};
use crate::emulator;
use crate::python_sdk::{SDK, is_possible};
use crate::run::{output, root};

const ROUNDS: usize = 7;

/// The clients: the name that the program knows them by, what they are called, and how many calls are measured.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("ours", "ours", "20000"),
    ("hyper", "raw hyper", "20000"),
    ("prepared", "raw hyper, its request made beforehand", "20000"),
    ("reqwest", "reqwest", "20000"),
    ("ureq", "ureq", "4000"),
];

pub(crate) fn call(programs: &Programs) -> Result<Vec<Row>, String> {
    let server = programs.server()?;
    let url = &*server.url;
    let mut rows = Vec::new();
    let mut ours_ns = f64::INFINITY;
    for concurrency in ["64", "1"] {
        let mut times = [f64::INFINITY; CLIENTS.len()];
        let mut rates = [0.0_f64; CLIENTS.len()];
        for _ in 0..ROUNDS {
            for (n, (client, _, calls)) in CLIENTS.iter().enumerate() {
                let lines = programs.run("call", &[client, url, concurrency, calls])?;
                let figures = lines.first().map(|line| &line.1).ok_or("no figures of a call")?;
                times[n] = times[n].min(figures["cpu_ns"].as_f64().unwrap_or(f64::INFINITY));
                rates[n] = rates[n].max(figures["wall_ns"].as_f64().map_or(0.0, |ns| 1e9 / ns));
            }
        }
        ours_ns = ours_ns.min(times[0]);
        for (n, (client, title, _)) in CLIENTS.iter().enumerate().skip(1) {
            let what = format!("processor time, {concurrency} at a time, to {title}");
            let row = Row::new(what, times[0] / 1e3, times[n] / 1e3, " µs", 1);
            rows.push(if (*client, concurrency) == ("hyper", "64") { row.target(Target::Most(1.1)) } else { row });
        }
        for (n, (_, title, _)) in CLIENTS.iter().enumerate().skip(1) {
            let what = format!("calls per second, {concurrency} at a time, to {title}");
            rows.push(Row::new(what, rates[0], rates[n], "/s", 0));
        }
    }
    rows.extend(counts(programs, url)?);
    rows.extend(instructions(programs, url)?);
    rows.extend(python(url, ours_ns)?);
    Ok(rows)
}

/// Allocations are the same with any load, so that one run tells.
fn counts(programs: &Programs, url: &str) -> Result<Vec<Row>, String> {
    let mut counted = Vec::new();
    for (client, title, _) in CLIENTS {
        let arguments = [client, url, "64", "4000"];
        let lines = programs.run("call_count", &arguments)?;
        let figures = lines.first().map(|line| &line.1).ok_or("no figures of a call")?;
        let of = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
        counted.push((title, of("allocations"), of("bytes")));
    }
    let (_, ours, bytes) = counted[0];
    let mut rows = Vec::new();
    for (title, allocations, _) in &counted[1..] {
        let row = Row::new(format!("allocations, to {title}"), ours, *allocations, "", 0);
        rows.push(if *title == "raw hyper" { row.target(Target::Own(ours.round(), 40.0)) } else { row });
    }
    for (title, _, peer) in &counted[1..] {
        rows.push(Row::new(format!("bytes allocated, to {title}"), bytes, *peer, "", 0));
    }
    Ok(rows)
}

/// Instructions of one call: what twice as many calls take more. Left out where there is no callgrind.
fn instructions(programs: &Programs, url: &str) -> Result<Vec<Row>, String> {
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        println!("   instructions: LEFT OUT, there is no valgrind here");
        return Ok(Vec::new());
    }
    let total = |client: &str, calls: &str| {
        let file = root().join("target").join("bench").join("callgrind.out");
        let program = programs.command("call");
        output(
            std::process::Command::new("valgrind")
                .args(["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())])
                .arg(program.get_program())
                .args([client, url, "64", calls]),
        )?;
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
        totals.trim().parse::<f64>().map_err(|_| format!("callgrind counted nothing: {totals:?}"))
    };
    let per_call = |client: &str| Ok::<_, String>((total(client, "4000")? - total(client, "2000")?) / 2_000.0);
    let ours = per_call("ours")?;
    Ok(vec![
        Row::new("instructions, to raw hyper", ours, per_call("hyper")?, "", 0),
        Row::new("instructions, to reqwest", ours, per_call("reqwest")?, "", 0).target(Target::Most(1.0)),
    ])
}

/// Calls per second of processor time by the official SDK. Left out where there is no Python.
fn python(url: &str, ours_ns: f64) -> Result<Vec<Row>, String> {
    if !is_possible() {
        println!("   the Python SDK: LEFT OUT, there is no Python 3 here");
        return Ok(Vec::new());
    }
    let python = emulator::python("python-sdk", &[SDK])?;
    let script = root().join("xtask/src/bench/call.py");
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let text = output(std::process::Command::new(&python).arg(&script).args([url, "300"]))?;
        let ns = text.trim().parse().map_err(|_| format!("the Python SDK took {text:?}"))?;
        least = least.min(ns);
    }
    let what = "calls per second of processor time, to the official Python SDK";
    Ok(vec![Row::new(what, 1e9 / ours_ns, 1e9 / least, "", 0).target(Target::Least(200.0))])
}
