use super::binaries::Binaries;
use super::report::{Row, Target};

/// Measures the resident memory of open streams over HTTP/1.1.
///
/// Streams are opened one after another, and the first event of each is read. The value is the
/// growth of the resident memory of the client's process, divided by the number of streams. Raw
/// hyper keeps the response.
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
        rows.push(Row::new("", best[0], best[1], " KiB", 1).target(Target::AtMost(1.2)));
    }
    Ok(vec![Row::merge("memory per HTTP/1.1 stream with 1,000 / 10,000 open, vs raw hyper", &rows)])
}
