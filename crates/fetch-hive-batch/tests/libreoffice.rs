//! Files of LibreOffice.
//!
//! The files in `tests/libreoffice` were written by LibreOffice 7.4. Other tests run LibreOffice
//! itself, if it is installed. With `UPDATE_FIXTURES=1`, they also replace the files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![cfg(feature = "xlsx")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use fetch_hive_batch::{Export, ReadOptions, RowResult, RowStatus, Rows};
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
use serde_json::{Value, json};
use support::{Folder, open};

/// The names of CSV files, with the options of LibreOffice's filter: delimiter, quote, character
/// set, and whether all texts are quoted.
const CSV: [(&str, &str); 4] = [
    ("comma-windows-1252", "44,34,1"),
    ("semicolon-utf-8", "59,34,76"),
    ("tab-utf-16", "9,34,65535"),
    ("pipe-quoted", "124,34,76,1,,0,true"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libreoffice")
}

/// Runs LibreOffice. Returns `None` if it is not installed.
fn convert(folder: &Folder, input: &Path, filter: &str, input_filter: Option<&str>) -> Option<()> {
    // Two instances at the same time crash on some machines.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let mut command = Command::new("soffice");
    command.arg(format!("-env:UserInstallation=file://{}", folder.path("profile").display()));
    command.args(["--headless", "--convert-to", filter, "--outdir"]).arg(folder.path("out"));
    command.args(input_filter.map(|filter| format!("--infilter={filter}"))).arg(input);
    let Ok(output) = command.output() else {
        assert!(std::env::var_os("FETCH_HIVE_REQUIRE_PROGRAMS").is_none(), "LibreOffice was not found");
        eprintln!("skipped: LibreOffice (soffice) is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// Returns a workbook whose last text ends with a character.
fn workbook(end: char) -> Workbook {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Daten").unwrap();
    for (column, name) in (0..).zip(["Nr", "Text", "Preis", "Datum", "Summe"]) {
        sheet.write(0, column, name).unwrap();
    }
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let texts = ["Käse; \"alt\", | rund".to_owned(), format!("zwei\nZeilen\tmit Tab {end}")];
    for (row, text) in (1..).zip(texts) {
        sheet.write(row, 0, format!("00{row}")).unwrap();
        sheet.write(row, 1, text).unwrap();
        sheet.write(row, 2, f64::from(row) + 0.5).unwrap();
        let day = ExcelDateTime::from_ymd(2024, 2, 27 + u8::try_from(row).unwrap()).unwrap();
        sheet.write_datetime_with_format(row, 3, &day, &date).unwrap();
        let sum = Formula::new(format!("=C{}*2", row + 1)).set_result((2 * row + 1).to_string());
        sheet.write(row, 4, sum).unwrap();
    }
    workbook
}

/// Lets LibreOffice write a workbook and CSV files into the folder `out`.
fn write_files(folder: &Folder) -> Option<()> {
    for (name, filter) in CSV {
        let path = folder.path(&format!("{name}.xlsx"));
        workbook(last_character(name)).save(&path).unwrap();
        convert(folder, &path, &format!("csv:Text - txt - csv (StarCalc):{filter}"), None)?;
    }
    let path = folder.path("workbook.xlsx");
    workbook('🐝').save(&path).unwrap();
    convert(folder, &path, "xlsx:Calc MS Excel 2007 XML", None)
}

/// Returns a character that the encoding of a file contains.
fn last_character(name: &str) -> char {
    if name.contains("windows") { '€' } else { '🐝' }
}

/// Reads the files in a folder and compares their cells.
fn check(folder: &Path) {
    let cells = |rows: Rows| -> Vec<Vec<Value>> {
        let row = |row: fetch_hive_batch::Row| (0..row.len()).map(|cell| row.get(cell).unwrap().clone()).collect();
        rows.map(|found| row(found.unwrap())).collect()
    };
    for (name, _) in CSV {
        let options = ReadOptions::new();
        let options = if name.contains("windows") { options.encoding("windows-1252") } else { options };
        let rows = options.open(folder.join(format!("{name}.csv"))).unwrap();
        assert_eq!(rows.header().names(), ["Nr", "Text", "Preis", "Datum", "Summe"], "{name}");
        let end = last_character(name);
        assert_eq!(
            cells(rows),
            [
                ["001", "Käse; \"alt\", | rund", "1.5", "2024-02-28", "3"].map(Value::from).to_vec(),
                ["002", &format!("zwei\nZeilen\tmit Tab {end}"), "2.5", "2024-02-29", "5"].map(Value::from).to_vec(),
            ],
            "{name}"
        );
    }
    let rows = ReadOptions::new().sheet("Daten").open(folder.join("workbook.xlsx")).unwrap();
    assert_eq!(
        cells(rows),
        [
            [json!("001"), json!("Käse; \"alt\", | rund"), json!(1.5), json!("2024-02-28"), json!(3)],
            [json!("002"), json!("zwei\nZeilen\tmit Tab 🐝"), json!(2.5), json!("2024-02-29"), json!(5)],
        ]
    );
}

#[test]
fn stored_files_are_read() {
    check(&fixtures());
}

#[test]
fn new_files_are_read() {
    let folder = Folder::new();
    if write_files(&folder).is_none() {
        return;
    }
    check(&folder.path("out"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(fixtures()).unwrap();
        for entry in std::fs::read_dir(folder.path("out")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), fixtures().join(entry.file_name())).unwrap();
        }
    }
}

/// Exports rows, opens the results with LibreOffice, and returns what it saved as a workbook.
fn open_results(input: &str, output: &str, export: &str, input_filter: Option<&str>) -> Option<Vec<Vec<Value>>> {
    let folder = Folder::new();
    let (opened, rows) = open(&folder.write("input.csv", input));
    let path = folder.path(export);
    let mut writer = Export::to(&path).unwrap().create(opened.header()).unwrap();
    for row in &rows {
        let output = Some(json!(output));
        writer.write(row, &RowResult { output, ..RowResult::new(RowStatus::Succeeded) }).unwrap();
    }
    writer.finish().unwrap();
    convert(&folder, &path, "xlsx:Calc MS Excel 2007 XML", input_filter)?;
    let rows = Rows::open(folder.path("out/results.xlsx")).unwrap();
    let header = rows.header().names().iter().map(|name| json!(name)).collect();
    let row = |row: fetch_hive_batch::Row| (0..row.len()).map(|cell| row.get(cell).unwrap().clone()).collect();
    Some(std::iter::once(header).chain(rows.map(|found| row(found.unwrap()))).collect())
}

#[test]
fn exported_files_open_with_umlauts_and_line_breaks() {
    let input = "\u{feff}Größe;Text\r\nfünf;\"zwei\nZeilen; \"\"ja\"\"\"\r\n";
    let output = "Übergröße,\nzweite Zeile\tmit Tab 🐝\n\n=1+1";
    // The byte-order mark alone selects UTF-8; the filter sets only the delimiter and the quote.
    for (file, filter) in [("results.csv", Some("CSV:59,34")), ("results.xlsx", None)] {
        let Some(cells) = open_results(input, output, file, filter) else { return };
        assert_eq!((cells.len(), cells[0].len()), (2, 10), "{file}: {cells:?}");
        assert_eq!(cells[0][..3], [json!("Größe"), json!("Text"), json!("status")], "{file}");
        assert_eq!(
            cells[1][..5],
            [json!("fünf"), json!("zwei\nZeilen; \"ja\""), json!("succeeded"), json!(""), json!(output)],
            "{file}"
        );
    }
}
