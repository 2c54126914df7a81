//! The memory that many rows need.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::alloc::System;
use std::io::Write;

use fetch_hive_batch::{Export, Mapping, RowResult, RowStatus, Rows, RunLabel};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::Folder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS: u64 = 10_000;
const LIMIT: usize = 4 * 1024 * 1024;

fn held(region: &Region<'_, System>) -> usize {
    let stats = region.change();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Reads a file, maps each row and writes the results. Returns the most memory that was held.
fn run(rows: Rows, export: &Export) -> usize {
    let region = Region::new(ALLOCATOR);
    let header = rows.header().clone();
    let mapping = Mapping::prompt("p").template("t", "{{ text }}!").bind(&header).unwrap();
    let mut writer = export.create(&header).unwrap();
    let mut most = 0;
    for row in rows {
        let row = row.unwrap();
        drop(mapping.request(&row, RunLabel::new("b", 1)).unwrap());
        let output = row.get(1).cloned();
        writer.write(&row, &RowResult { output, ..RowResult::new(RowStatus::Succeeded) }).unwrap();
        if row.number() % 100 == 0 {
            most = most.max(held(&region));
        }
    }
    assert_eq!(writer.finish().unwrap().rows(), ROWS);
    most
}

#[test]
fn many_rows_need_constant_memory() {
    let folder = Folder::new();
    let text = "Sehr schön, gerne wieder. ".repeat(100);
    let csv = folder.path("rows.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&csv).unwrap());
    writeln!(file, "id;text").unwrap();
    (0..ROWS).for_each(|row| writeln!(file, "{row};\"{text}\"").unwrap());
    drop(file);
    assert!(std::fs::metadata(&csv).unwrap().len() > 20_000_000);

    let jsonl = folder.path("rows.jsonl");
    let most = run(Rows::open(&csv).unwrap(), &Export::jsonl(&jsonl));
    assert!(most < LIMIT, "CSV to JSONL: {most} bytes");
    let most = run(Rows::open(&jsonl).unwrap(), &Export::csv(folder.path("out.csv")).prefix("x_"));
    assert!(most < LIMIT, "JSONL to CSV: {most} bytes");
    #[cfg(feature = "xlsx")]
    {
        let most = run(Rows::open(&csv).unwrap(), &Export::xlsx(folder.path("out.xlsx")));
        assert!(most < LIMIT, "CSV to XLSX: {most} bytes");
    }
}
