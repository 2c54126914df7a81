use super::binaries::Binaries;
use super::report::{Row, Target};

/// Rounds of the latency measurement; the best one counts.
const ROUNDS: usize = 5;

/// Measures the event-stream parsers and the latency of an event.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let (times, counts) = (binaries.run("streams", &[])?, binaries.run("streams_count", &[])?);
    let mut rows = Vec::new();
    for size in [64, 1_400, 16_384] {
        for (peer, title, target) in [
            ("minimal", "a minimal parser", Some(Target::AtLeast(0.8))),
            ("eventsource", "`eventsource-stream` and `Value`", Some(Target::AtLeast(4.0))),
            ("sse", "`sse-stream` and a struct", None),
        ] {
            let rate = |name: &str| times.get(&format!("{name} {size}"), "wall_ns").map(|ns| 1e3 / ns);
            let title = format!("events per second, chunks of {size} bytes, vs {title}");
            let row = Row::new(title, rate("ours")?, rate(peer)?, " M/s", 2);
            rows.push(match target {
                Some(target) => row.target(target),
                None => row,
            });
        }
        let count = |name: &str| counts.get(&format!("{name} {size}"), "allocations");
        let ours = count("ours")?;
        let title = format!("allocations per event, chunks of {size} bytes, vs `eventsource-stream` and `Value`");
        // An event that arrives in two chunks needs one more allocation, to join its bytes.
        let limit = if size == 64 { 2.0 } else { 1.0 };
        let target = Target::OursAtMost { ours, limit };
        rows.push(Row::new(title, ours, count("eventsource")?, "", 2).target(target));
    }
    rows.extend(latency(binaries)?);
    Ok(rows)
}

fn latency(binaries: &Binaries) -> Result<Vec<Row>, String> {
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
    let row = |statistic: &str, n: usize| {
        let title = format!("time from the server's write to the caller's event, {statistic}, vs raw hyper");
        Row::new(title, best[0][n], best[1][n], " µs", 0)
    };
    Ok(vec![row("median", 0), row("99th percentile", 1)])
}
