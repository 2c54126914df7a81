use super::binaries::Binaries;
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
///
/// Both clients have the same TLS settings. Raw hyper is hyper-util's pooled client. The memory is
/// the growth of the process. In the last measurement, the server allows 128 streams per connection
/// and answers after 1 s.
pub(crate) fn calls(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let mut rows = Vec::new();
    for (protocol, url) in [("HTTP/2", &server.http2_url), ("HTTP/1.1", &server.tls_url)] {
        let row = |concurrency| -> Result<Row, String> {
            let arguments = ["calls", url, &server.certificate, "10000", concurrency];
            let row = pairs(binaries, "https", HYPER, ROUNDS, "cpu_ns", &arguments)?.row("", 1e7, " µs", 1);
            Ok(row.target(Target::AtMost(1.08)))
        };
        let title = format!("CPU time of a call, {protocol}, 1 / 64 concurrent, vs raw hyper");
        rows.push(Row::merge(title, &[row("1")?, row("64")?]));
    }
    let row = |concurrency| -> Result<Row, String> {
        let per_call = |client: &str| -> Result<f64, String> {
            let total = |calls: &str| {
                let arguments = [client, "calls", &server.http2_url, &server.certificate, calls, concurrency];
                binaries.instructions("https", &arguments)
            };
            Ok((total("4000")? - total("2000")?) / 2_000.0)
        };
        Ok(Row::new("", per_call("ours")?, per_call("hyper")?, "", 0).target(Target::AtMost(1.06)))
    };
    let title = "instructions of a call, HTTP/2, 1 / 64 concurrent, vs raw hyper";
    rows.push(Row::merge(title, &[row("1")?, row("64")?]));
    let arguments = ["calls", &server.http2_url, &server.certificate, "10000", "10000"];
    let peak = pairs(binaries, "https", HYPER, 5, "peak_bytes", &arguments)?;
    let title = "peak memory of a call, HTTP/2, 10,000 concurrent, vs raw hyper";
    rows.push(peak.row(title, 1e4 * 1024.0, " KiB", 1).target(Target::AtMost(1.2)));
    let arguments = ["limited", &server.limited_url, &server.certificate, "1000", "1000"];
    let row = |peer| -> Result<Row, String> {
        let time = pairs(binaries, "https", ["ours", peer], 3, "wall_ns", &arguments)?;
        Ok(time.row("", 1e9, " s", 2).target(Target::AtMost(0.25)))
    };
    let title = "time of 1,000 calls of 1 s, 128 streams per connection, vs raw hyper / reqwest";
    rows.push(Row::merge(title, &[row("hyper")?, row("reqwest")?]));
    Ok(rows)
}

/// Measures a process that makes one call over TLS.
///
/// The call fails because the certificate of the server is not among the roots of the platform,
/// after these were loaded and used.
pub(crate) fn cold(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let cold = pairs(binaries, "https", ["ours", "reqwest"], ROUNDS, "cpu_ns", &["cold", &server.http2_url])?;
    let title = "CPU time of a process with one call over TLS, vs reqwest";
    Ok(vec![cold.row(title, 1e6, " ms", 1).target(Target::AtMost(0.6))])
}

/// Measures large request bodies.
pub(crate) fn bodies(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let server = binaries.server()?;
    let file = workspace_root().join("target/bench/upload.bin");
    let block: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    std::fs::write(&file, block.repeat(FILE_BYTES >> 20)).map_err(|error| format!("{}: {error}", file.display()))?;
    let file = file.to_string_lossy().into_owned();
    let measure = |measurement: &str, rest: &[&str]| -> Result<[Row; 2], String> {
        let arguments = [&[measurement, &*server.tls_url, &*server.certificate], rest].concat();
        let pairs = |figure| pairs(binaries, "https", HYPER, ROUNDS, figure, &arguments);
        Ok([pairs("cpu_ns")?.row("", 1e6, " ms", 0), pairs("peak_bytes")?.row("", 1024.0 * 1024.0, " MiB", 1)])
    };
    let title = |body: &str| format!("CPU time / memory of {body}, vs raw hyper");
    let [time, memory] = measure("upload", &["1", "1", &file])?;
    let target = Target::OursAtMost { ours: memory.ours(), limit: 16.0 };
    let upload = [time.target(Target::AtMost(1.3)), memory.target(target)];
    let mut rows = vec![Row::merge(title("an upload of 200 MB"), &upload)];
    for (measurement, count, body, time_limit, memory_limit) in [
        ("rows", "150000", "inputs of 150,000 rows", 1.5, 2.5),
        ("text", "20000000", "inputs of one text of 20 MB", 1.2, 1.2),
    ] {
        let [time, memory] = measure(measurement, &[count, "1"])?;
        let targets = [time.target(Target::AtMost(time_limit)), memory.target(Target::AtMost(memory_limit))];
        rows.push(Row::merge(title(body), &targets));
    }
    Ok(rows)
}

/// Measures the memory of streams over HTTP/2, and events that arrive one per chunk.
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
    let time = events.row("", 2e5, " ns", 0).target(Target::AtMost(1.2));
    let allocations = pairs(binaries, "https_count", HYPER, 1, "allocations", &arguments)?.row("", 2e5, "", 5);
    let target = Target::OursAtMost { ours: allocations.ours(), limit: 0.1 };
    let title = "CPU time / allocations of an event, one per chunk, HTTP/1.1, vs raw hyper";
    Ok(vec![memory, Row::merge(title, &[time, allocations.target(target)])])
}

/// Measures the receiver of callbacks.
pub(crate) fn callbacks(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let row = |bytes, limit| -> Result<Row, String> {
        let arguments = ["callbacks", "100000", bytes];
        let time = pairs(binaries, "local", ["ours", "bare"], ROUNDS, "cpu_ns", &arguments)?;
        Ok(time.row("", 1e3, " µs", 2).target(Target::AtMost(limit)))
    };
    let title = "CPU time of a callback of 512 / 4096 bytes through axum, vs a bare handler";
    Ok(vec![Row::merge(title, &[row("512", 1.3)?, row("4096", 1.4)?])])
}

/// Measures the queue for run slots.
pub(crate) fn queue(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let time = pairs(binaries, "local", ["ours", "semaphore"], ROUNDS, "wall_ns", &["queue", "100000"])?;
    let time = time.row("", 1.0, " ns", 0).target(Target::AtMost(3.0));
    let memory = pairs(binaries, "local", ["ours", "semaphore"], 3, "bytes", &["queue", "100000"])?;
    let memory = memory.row("", 1.0, " bytes", 0);
    let target = Target::OursAtMost { ours: memory.ours(), limit: 1_500.0 };
    let title = "time to queue / memory of one of 100,000 waiting calls, vs tokio's semaphore before each call";
    Ok(vec![Row::merge(title, &[time, memory.target(target)])])
}
