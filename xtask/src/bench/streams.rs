use super::binaries::Binaries;
use super::report::{Row, Target};

/// Rounds of the latency measurement; the best one counts.
const ROUNDS: usize = 5;

/// The sizes of the chunks in bytes.
const SIZES: [u32; 3] = [64, 1_400, 16_384];

/// Measures the event-stream parsers and the latency of an event.
///
/// The input is a prompt's stream of 50,000 words. The minimal parser splits the stream into lines
/// and parses each line into a struct with borrowed fields; it ignores every other rule of the
/// format. `eventsource-stream` is parsed into `serde_json::Value`, and `sse-stream` into the
/// struct of the minimal parser.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let (times, counts) = (binaries.run("streams", &[])?, binaries.run("streams_count", &[])?);
    let mut rows = Vec::new();
    for (peer, peer_title, target) in [
        ("minimal", "a minimal parser", Some(Target::AtLeast(0.8))),
        ("eventsource", "`eventsource-stream` and `Value`", Some(Target::AtLeast(4.0))),
        ("sse", "`sse-stream` and a struct", None),
    ] {
        let row = |size: u32| -> Result<Row, String> {
            let rate = |name: &str| times.get(&format!("{name} {size}"), "wall_ns").map(|ns| 1e3 / ns);
            let row = Row::new("", rate("ours")?, rate(peer)?, " M/s", 2);
            Ok(match target {
                Some(target) => row.target(target),
                None => row,
            })
        };
        let title = format!("events per second, chunks of 64 / 1400 / 16384 bytes, vs {peer_title}");
        rows.push(Row::merge(title, &SIZES.into_iter().map(row).collect::<Result<Vec<_>, _>>()?));
    }
    let row = |size: u32| -> Result<Row, String> {
        let count = |name: &str| counts.get(&format!("{name} {size}"), "allocations");
        // An event that arrives in two chunks needs one more allocation, to join its bytes.
        let limit = if size == 64 { 2.0 } else { 1.0 };
        let ours = count("ours")?;
        Ok(Row::new("", ours, count("eventsource")?, "", 2).target(Target::OursAtMost { ours, limit }))
    };
    let title = "allocations per event, the same chunks, vs `eventsource-stream` and `Value`";
    rows.push(Row::merge(title, &SIZES.into_iter().map(row).collect::<Result<Vec<_>, _>>()?));
    rows.push(latency(binaries)?);
    Ok(rows)
}

/// Measures the time from the server's write to the caller's event.
///
/// The server sends an event with the current time every millisecond. Raw hyper searches the bytes
/// of the chunk for that time.
fn latency(binaries: &Binaries) -> Result<Row, String> {
    let server = binaries.server()?;
    let mut best = [[f64::INFINITY; 2]; 2];
    for _ in 0..ROUNDS {
        for (best, client) in best.iter_mut().zip(["ours", "hyper"]) {
            let figures = binaries.run("latency", &[client, &server.url, "1000"])?;
            for (best, figure) in best.iter_mut().zip(["median_us", "p99_us"]) {
                *best = best.min(figures.get(client, figure)?);
            }
        }
    }
    let row = |n: usize| Row::new("", best[0][n], best[1][n], " µs", 0);
    let title = "time from the server's write to the caller's event, median / 99th percentile, vs raw hyper";
    Ok(Row::merge(title, &[row(0), row(1)]))
}
