use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::table::{Row, Target};
use crate::run::{output, root};

/// The programs of the package `bench`.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    pub(crate) fn new() -> Self {
        Self { folder: root().join("target").join("bench").join("release") }
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name))
    }

    /// Runs a program, and gives the figures of each line that it prints, by name.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Result<Vec<(String, Value)>, String> {
        let text = output(self.command(name).args(arguments))?;
        let figures = |line: &str| {
            let (name, figures) = line.split_once('\t')?;
            Some((name.to_owned(), serde_json::from_str(figures).ok()?))
        };
        text.lines().map(|line| figures(line).ok_or_else(|| format!("{name} printed {line:?}"))).collect()
    }

    /// Runs a program that prints one line, and gives one figure of it.
    pub(crate) fn figure(&self, name: &str, arguments: &[&str], figure: &str) -> Result<f64, String> {
        let lines = self.run(name, arguments)?;
        lines.first().and_then(|line| line.1[figure].as_f64()).ok_or_else(|| format!("{name} printed no {figure}"))
    }

    /// The server, in a process of its own.
    pub(crate) fn server(&self) -> Result<Server, String> {
        let mut process = self
            .command("server")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let mut url = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut url).map_err(|error| error.to_string())?;
        }
        let server = Server { process, url: url.trim().to_owned() };
        if server.url.is_empty() { Err("the server did not start".to_owned()) } else { Ok(server) }
    }
}

/// A server that is stopped when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A figure of the line with a name.
fn of(lines: &[(String, Value)], name: &str, figure: &str) -> Result<f64, String> {
    let line = lines.iter().find(|line| line.0 == name);
    line.and_then(|line| line.1[figure].as_f64()).ok_or_else(|| format!("there is no {figure} of {name}"))
}

const PER_SECOND: f64 = 1e9;
const ROUNDS: usize = 5;

pub(crate) fn streams(programs: &Programs) -> Result<Vec<Row>, String> {
    let (times, counts) = (programs.run("streams", &[])?, programs.run("streams_count", &[])?);
    let mut rows = Vec::new();
    for size in [64, 1_400, 16_384] {
        for (peer, title, target) in [
            ("floor", "the floor", Some(Target::Least(0.8))),
            ("eventsource", "`eventsource-stream` and `Value`", Some(Target::Least(4.0))),
            ("sse", "`sse-stream` and a struct", None),
        ] {
            let rate = |name: &str| of(&times, &format!("{name} {size}"), "wall_ns").map(|ns| PER_SECOND / ns / 1e6);
            let row = Row::new(
                format!("events per second, chunks of {size} bytes, to {title}"),
                rate("ours")?,
                rate(peer)?,
                " M/s",
                2,
            );
            rows.push(match target {
                Some(target) => row.target(target),
                None => row,
            });
        }
        let count = |name: &str| of(&counts, &format!("{name} {size}"), "allocations");
        let ours = count("ours")?;
        let what = format!("allocations per event, chunks of {size} bytes, to `eventsource-stream` and `Value`");
        // An event keeps its bytes: those that came in two chunks have been put together for it.
        let most = if size == 64 { 2.0 } else { 1.0 };
        rows.push(Row::new(what, ours, count("eventsource")?, "", 2).target(Target::Own(ours, most)));
    }
    rows.extend(latency(programs)?);
    Ok(rows)
}

fn latency(programs: &Programs) -> Result<Vec<Row>, String> {
    let server = programs.server()?;
    let mut least = [[f64::INFINITY; 2]; 2];
    for _ in 0..ROUNDS {
        for (least, client) in least.iter_mut().zip(["ours", "hyper"]) {
            let lines = programs.run("latency", &[client, &server.url, "1000"])?;
            for (least, figure) in least.iter_mut().zip(["median_us", "p99_us"]) {
                *least = least.min(of(&lines, client, figure)?);
            }
        }
    }
    let row = |what: &str, n: usize| {
        Row::new(format!("server's write to caller's event, {what}, to raw hyper"), least[0][n], least[1][n], " µs", 0)
    };
    Ok(vec![row("median", 0), row("99 of 100", 1)])
}

pub(crate) fn verify(programs: &Programs) -> Result<Vec<Row>, String> {
    let lines = programs.run("verify", &[])?;
    let rate = |name: &str| of(&lines, name, "wall_ns").map(|ns| PER_SECOND / ns / 1e3);
    let bare = rate("hmac-sha256")?;
    let row = |what: &str, ours: f64, peer: f64| Row::new(what, ours, peer, " k/s", 1);
    Ok(vec![
        row("signatures of 4 KiB per second, to a bare HMAC of the same crate", rate("signature")?, bare)
            .target(Target::Least(0.9)),
        row("callbacks of 4 KiB verified and read per second, to the same", rate("callback")?, bare),
        row("signatures of 4 KiB per second, to ring's HMAC", rate("signature")?, rate("ring")?),
    ])
}

pub(crate) fn memory(programs: &Programs) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for streams in [1_000, 10_000] {
        let mut least = [f64::INFINITY; 2];
        for _ in 0..3 {
            for (least, client) in least.iter_mut().zip(["ours", "hyper"]) {
                // A server for each, so that none has to close the streams of the last client first.
                let server = programs.server()?;
                let bytes = programs.figure("memory", &[client, &server.url, &streams.to_string()], "bytes")?;
                *least = least.min(bytes / 1024.0);
            }
        }
        let what = format!("memory of one of {streams} open streams, to raw hyper");
        rows.push(Row::new(what, least[0], least[1], " KiB", 1).target(Target::Most(1.2)));
    }
    Ok(rows)
}
