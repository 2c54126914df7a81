use super::binaries::{Binaries, Server};
use super::report::{Row, Target};
use crate::run::workspace_root;

/// Rounds of each measurement. The clients take turns, and the ratio is the median of the ratios of
/// the rounds.
const ROUNDS: usize = 9;

/// The size of the uploaded file.
const FILE_BYTES: usize = 200 << 20;

/// Our value and that of a peer in each round.
struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Creates a row whose ratio is the median ratio of the rounds, with the values of that round.
    fn row(mut self, title: impl Into<String>, scale: f64, unit: &str, decimals: usize) -> Row {
        self.0.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (ours, peer) = self.0[self.0.len() / 2];
        Row::new(title, ours / scale, peer / scale, unit, decimals)
    }
}

/// Runs a program alternately for us and for a peer, and returns a figure of each round.
fn pairs(
    binaries: &Binaries,
    program: &str,
    clients: [&str; 2],
    rounds: usize,
    figure: &str,
    arguments: &[&str],
) -> Result<Pairs, String> {
    let run = |client: &str| binaries.run(program, &[&[client], arguments].concat())?.first(figure);
    let round = |_| Ok((run(clients[0])?, run(clients[1])?));
    (0..rounds).map(round).collect::<Result<_, _>>().map(Pairs)
}

const HYPER: [&str; 2] = ["ours", "hyper"];

/// Measures calls over TLS.
pub(crate) fn calls(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let mut rows = Vec::new();
    for (protocol, url) in [("HTTP/2", &server.http2_url), ("HTTP/1.1", &server.tls_url)] {
        for concurrency in ["1", "64"] {
            let arguments = ["calls", url, &server.certificate, "10000", concurrency];
            let title = format!("CPU time, {protocol}, {concurrency} concurrent, vs raw hyper");
            let row = pairs(binaries, "https", HYPER, ROUNDS, "cpu_ns", &arguments)?.row(title, 1e7, " µs", 1);
            rows.push(row.target(Target::AtMost(1.08)));
        }
    }
    for concurrency in ["1", "64"] {
        let per_call = |client: &str| -> Result<f64, String> {
            let total = |calls: &str| {
                let arguments = [client, "calls", &server.http2_url, &server.certificate, calls, concurrency];
                binaries.instructions("https", &arguments)
            };
            Ok((total("4000")? - total("2000")?) / 2_000.0)
        };
        let title = format!("instructions, HTTP/2, {concurrency} concurrent, vs raw hyper");
        rows.push(Row::new(title, per_call("ours")?, per_call("hyper")?, "", 0).target(Target::AtMost(1.06)));
    }
    let arguments = ["calls", &server.http2_url, &server.certificate, "10000", "10000"];
    let peak = pairs(binaries, "https", HYPER, 5, "peak_bytes", &arguments)?;
    let title = "peak memory of a call, HTTP/2, 10,000 concurrent, vs raw hyper";
    rows.push(peak.row(title, 1e4 * 1024.0, " KiB", 1).target(Target::AtMost(1.2)));
    let arguments = ["limited", &server.limited_url, &server.certificate, "1000", "1000"];
    for (peer, title) in [("hyper", "raw hyper"), ("reqwest", "reqwest")] {
        let time = pairs(binaries, "https", ["ours", peer], 3, "wall_ns", &arguments)?;
        let title = format!("time of 1,000 calls of 1 s, 128 streams per connection, vs {title}");
        rows.push(time.row(title, 1e9, " s", 2).target(Target::AtMost(0.25)));
    }
    let cold = pairs(binaries, "https", ["ours", "reqwest"], ROUNDS, "cpu_ns", &["cold", &server.http2_url])?;
    let title = "CPU time of a process with one call over TLS, vs reqwest";
    rows.push(cold.row(title, 1e6, " ms", 1).target(Target::AtMost(0.6)));
    Ok(rows)
}

/// Measures large request bodies.
pub(crate) fn bodies(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let file = workspace_root().join("target/bench/upload.bin");
    let block: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    std::fs::write(&file, block.repeat(FILE_BYTES >> 20)).map_err(|error| format!("{}: {error}", file.display()))?;
    let file = file.to_string_lossy().into_owned();
    let measure = |server: &Server, figure: &str, arguments: &[&str]| {
        let [measurement, rest @ ..] = arguments else { return Err("no measurement".to_owned()) };
        let arguments = [&[*measurement, &*server.tls_url, &*server.certificate], rest].concat();
        pairs(binaries, "https", HYPER, ROUNDS, figure, &arguments)
    };
    let upload = ["upload", "1", "1", &file];
    let mib = 1024.0 * 1024.0;
    let memory = measure(&server, "peak_bytes", &upload)?.row("memory, upload of 200 MB, vs raw hyper", mib, " MiB", 1);
    let ours = memory.ours();
    Ok(vec![
        measure(&server, "cpu_ns", &upload)?
            .row("CPU time, upload of 200 MB, vs raw hyper", 1e6, " ms", 0)
            .target(Target::AtMost(1.3)),
        memory.target(Target::OursAtMost { ours, limit: 16.0 }),
        measure(&server, "cpu_ns", &["rows", "150000", "1"])?
            .row("CPU time, inputs of 150,000 rows, vs raw hyper", 1e6, " ms", 0)
            .target(Target::AtMost(1.5)),
        measure(&server, "peak_bytes", &["rows", "150000", "1"])?
            .row("memory, inputs of 150,000 rows, vs raw hyper", mib, " MiB", 1)
            .target(Target::AtMost(2.5)),
        measure(&server, "cpu_ns", &["text", "20000000", "1"])?
            .row("CPU time, inputs of one text of 20 MB, vs raw hyper", 1e6, " ms", 0)
            .target(Target::AtMost(1.2)),
        measure(&server, "peak_bytes", &["text", "20000000", "1"])?
            .row("memory, inputs of one text of 20 MB, vs raw hyper", mib, " MiB", 1)
            .target(Target::AtMost(1.2)),
    ])
}

/// Measures streams over HTTP/2, and streams with one event per chunk.
pub(crate) fn streams(binaries: &Binaries) -> Result<Vec<Row>, String> {
    // A new server for each client, so that closing the previous streams does not disturb the next
    // client.
    let open = |client: &str| -> Result<f64, String> {
        let server = binaries.server()?;
        let arguments = [client, "streams", &server.http2_url, &server.certificate, "10000", "1"];
        binaries.run("https", &arguments)?.first("resident_bytes")
    };
    let memory = (0..3).map(|_| Ok((open("ours")?, open("hyper")?))).collect::<Result<_, String>>().map(Pairs)?;
    let title = "memory per HTTP/2 stream with 10,000 open, vs raw hyper";
    let memory = memory.row(title, 1e4 * 1024.0, " KiB", 2).target(Target::AtMost(1.4));
    let server = binaries.server()?;
    let arguments = ["events", &server.url, &server.certificate, "200000", "1"];
    let events = pairs(binaries, "https", HYPER, ROUNDS, "cpu_ns", &arguments)?;
    let title = "CPU time of an event, one per chunk, HTTP/1.1, vs raw hyper";
    let time = events.row(title, 2e5, " ns", 0).target(Target::AtMost(1.2));
    let allocations = pairs(binaries, "https_count", HYPER, 1, "allocations", &arguments)?;
    let allocations = allocations.row("allocations of an event, one per chunk, HTTP/1.1, vs raw hyper", 2e5, "", 2);
    let ours = allocations.ours();
    Ok(vec![memory, time, allocations.target(Target::OursAtMost { ours, limit: 0.1 })])
}

/// Measures the receiver of callbacks, and the queue for run slots.
pub(crate) fn local(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (bytes, limit) in [("4096", 1.4), ("512", 1.3)] {
        let arguments = ["callbacks", "100000", bytes];
        let time = pairs(binaries, "local", ["ours", "bare"], ROUNDS, "cpu_ns", &arguments)?;
        let title = format!("CPU time of a callback of {bytes} bytes through axum, vs a bare handler");
        rows.push(time.row(title, 1e3, " µs", 2).target(Target::AtMost(limit)));
    }
    let time = pairs(binaries, "local", ["ours", "semaphore"], ROUNDS, "wall_ns", &["queue", "100000"])?;
    let title = "time to queue a call, 100,000 waiting, vs tokio's semaphore before each call";
    rows.push(time.row(title, 1.0, " ns", 0).target(Target::AtMost(3.0)));
    let memory = pairs(binaries, "local", ["ours", "semaphore"], 3, "bytes", &["queue", "100000"])?;
    let memory = memory.row("memory of a waiting call, vs tokio's semaphore before each call", 1.0, " bytes", 0);
    let ours = memory.ours();
    rows.push(memory.target(Target::OursAtMost { ours, limit: 1_500.0 }));
    Ok(rows)
}
