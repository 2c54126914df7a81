//! Arbitrary bytes as a CSV file.
//!
//! The file is read or rejected, without a panic. The results of a file that was read are in its
//! dialect, and their cells are those of the file. The first byte selects an encoding.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use fetch_hive_batch::{Dialect, Error, Export, Header, ReadOptions, Row, RowResult, RowStatus};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const ENCODINGS: [&str; 7] = ["utf-8", "windows-1252", "utf-16le", "utf-16be", "shift_jis", "gb18030", "iso-2022-jp"];

/// A folder in memory, if the system has one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("fetch-hive-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});

fuzz_target!(|input: &[u8]| {
    let Some((encoding, bytes)) = input.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*encoding) % ENCODINGS.len()];
    let options = ReadOptions::new().encoding(encoding).skip_ragged(true);
    let (file, results) = (FOLDER.join("a.csv"), FOLDER.join("results.csv"));
    fs::write(&file, bytes).unwrap();
    let Ok((header, rows)) = read(&options, &file) else { return };

    let columns = header.names().len();
    let mut lines = rows.iter().map(|row| row.line().unwrap());
    assert!(lines.by_ref().is_sorted_by(|before, after| before < after));
    for row in &rows {
        assert_eq!(row.len(), columns);
    }
    // A cell may contain a character that its encoding can decode but not encode.
    if write(&results, &header, &rows).is_err() {
        let text = Export::csv(&results).prefix("fuzz.").encoding("utf-8").keep_long_cells(true);
        assert!(text.create(&header).is_ok() || text.check(&header).is_err());
        return;
    }
    let (written_header, written) = read(&options, &results).unwrap();
    assert_eq!(written_header.names()[..columns], *header.names());
    assert_same_dialect(written_header.dialect().unwrap(), header.dialect().unwrap());
    assert_eq!(written.len(), rows.len());
    for (written, row) in written.iter().zip(&rows) {
        for column in 0..columns {
            assert_eq!(written.get(column), row.get(column));
        }
        assert_eq!(written.get(columns).and_then(Value::as_str), Some("succeeded"));
    }
});

fn read(options: &ReadOptions, path: &Path) -> Result<(Arc<Header>, Vec<Row>), Error> {
    let rows = options.open(path)?;
    let header = Arc::clone(rows.header());
    Ok((header, rows.collect::<Result<_, _>>()?))
}

fn write(path: &Path, header: &Arc<Header>, rows: &[Row]) -> Result<(), Error> {
    let mut writer = Export::csv(path).prefix("fuzz.").keep_long_cells(true).create(header)?;
    for row in rows {
        writer.write(row, &RowResult::new(RowStatus::Succeeded))?;
    }
    writer.finish().map(drop)
}

fn assert_same_dialect(written: &Dialect, read: &Dialect) {
    assert_eq!(written.delimiter(), read.delimiter());
    assert_eq!(written.encoding(), read.encoding());
    assert_eq!(written.line_end(), read.line_end());
    // UTF-16 is always written with a mark.
    let is_utf_16 = read.encoding().starts_with("UTF-16");
    assert_eq!(written.has_byte_order_mark(), read.has_byte_order_mark() || is_utf_16);
}
