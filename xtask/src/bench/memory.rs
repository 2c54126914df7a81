use super::binaries::Binaries;
use super::report::{Row, Target};

/// Measures the resident memory of open streams.
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for streams in [1_000, 10_000] {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..3 {
            for (best, client) in best.iter_mut().zip(["ours", "hyper"]) {
                // A new server for each client, so that closing the previous streams does not
                // disturb the next client.
                let server = binaries.server()?;
                let figures = binaries.run("memory", &[client, &server.url, &streams.to_string()])?;
                *best = best.min(figures.first("bytes")? / 1024.0);
            }
        }
        let title = format!("memory per stream with {streams} open, vs raw hyper");
        rows.push(Row::new(title, best[0], best[1], " KiB", 1).target(Target::AtMost(1.2)));
    }
    Ok(rows)
}
