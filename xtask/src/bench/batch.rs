use super::binaries::Binaries;
use super::report::{Row, Target};
use super::store::new_folder;

const REPETITIONS: usize = 3;

/// Compares batches with bare statements on the same database.
///
/// One worker runs rows with one slot and a transport that answers at once. The bare loop commits
/// an insert and two updates per row in a table without indexes. A resume opens the batch, counts
/// its rows and takes the first one; the bare loop reads all rows. Peak memory is that of the whole
/// process (`VmHWM`).
pub(crate) fn measure(binaries: &Binaries) -> Result<Vec<Row>, String> {
    let run = |client: &str, measurement: &str, file: &str, count: u32| {
        binaries.run("batch", &[client, measurement, file, &count.to_string()])
    };
    let file = || Ok::<_, String>(new_folder()?.join("batch.db").display().to_string());
    let mut rows = Vec::new();

    let mut best = [f64::INFINITY; 2];
    for _ in 0..REPETITIONS {
        for (best, client) in best.iter_mut().zip(["ours", "bare"]) {
            *best = best.min(run(client, "rows", &file()?, 5_000)?.first("seconds")? / 5_000.0 * 1e6);
        }
    }
    let title = "time of a row without its run, SQLite, vs an insert and two updates with commits";
    rows.push(Row::new(title, best[0], best[1], " µs", 0).target(Target::AtMost(3.0)));

    let mut best = [f64::INFINITY; 2];
    for _ in 0..REPETITIONS {
        let file = file()?;
        for (best, client) in best.iter_mut().zip(["ours", "bare"]) {
            *best = best.min(run(client, "resume", &file, 100_000)?.first("seconds")? * 1e3);
        }
    }
    let title = "time until a worker has the first of 100,000 rows, SQLite, vs a scan of the table";
    rows.push(Row::new(title, best[0], best[1], " ms", 1).target(Target::AtMost(3.0)));

    let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
    let rows_100k = mib(run("ours", "rows", &file()?, 100_000)?.first("peak_bytes")?);
    let rows_5k = mib(run("ours", "rows", &file()?, 5_000)?.first("peak_bytes")?);
    let title = "peak memory of a batch of 100,000 rows, SQLite, vs 5,000 rows";
    let target = Target::OursAtMost { ours: rows_100k, limit: 80.0 };
    rows.push(Row::new(title, rows_100k, rows_5k, " MiB", 1).target(target));

    let export_1m = mib(run("ours", "export", &file()?, 1_000_000)?.first("peak_bytes")?);
    let export_100k = mib(run("ours", "export", &file()?, 100_000)?.first("peak_bytes")?);
    let title = "peak memory of an export of 1,000,000 rows, SQLite, vs 100,000 rows";
    rows.push(Row::new(title, export_1m, export_100k, " MiB", 1).target(Target::AtMost(1.2)));
    new_folder()?;
    Ok(rows)
}
