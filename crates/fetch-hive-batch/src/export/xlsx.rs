use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::path::Path;

use rust_xlsxwriter::{Workbook, XlsxError};
use serde_json::Value;

use crate::{Error, cell_text};

/// The maximum number of rows and columns in a sheet.
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: usize = 16_384;

/// A writer for a workbook with one sheet. It stores the rows in a temporary file.
pub(super) struct XlsxSink {
    workbook: Workbook,
    file: File,
    row: u32,
}

impl XlsxSink {
    pub(super) fn new(file: File, path: &Path, names: &[String]) -> Result<Self, Error> {
        if names.len() > MAX_COLUMNS {
            let reason = format!("a sheet has at most {MAX_COLUMNS} columns, not {}; write CSV or JSONL", names.len());
            return Err(Error::output(path, reason));
        }
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet_with_constant_memory();
        sheet.set_name("Results").map_err(|error| failed(path, &error))?;
        let mut sink = Self { workbook, file, row: 0 };
        let header: Vec<_> = names.iter().map(|name| Cow::Owned(Value::from(name.as_str()))).collect();
        sink.write(path, &header)?;
        Ok(sink)
    }

    pub(super) fn write(&mut self, path: &Path, cells: &[Cow<'_, Value>]) -> Result<(), Error> {
        if self.row == MAX_ROWS {
            let reason = format!("a sheet has at most {} rows below its header; write CSV or JSONL", MAX_ROWS - 1);
            return Err(Error::output(path, reason));
        }
        let failed = |error: XlsxError| failed(path, &error);
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for (column, cell) in (0..).zip(cells) {
            match cell.as_ref() {
                Value::Null => {}
                Value::Bool(value) => {
                    sheet.write_boolean(self.row, column, *value).map_err(failed)?;
                }
                Value::Number(number) if exact(number).is_some() => {
                    sheet.write_number(self.row, column, exact(number).unwrap_or_default()).map_err(failed)?;
                }
                // Text is never interpreted as a number, date or formula. An empty string is an
                // empty cell.
                other => {
                    let text = cell_text(other);
                    if !text.is_empty() {
                        sheet.write_string(self.row, column, text).map_err(failed)?;
                    }
                }
            }
        }
        self.row += 1;
        Ok(())
    }

    pub(super) fn finish(mut self, path: &Path) -> Result<File, Error> {
        self.workbook.save_to_writer(&self.file).map_err(|error| failed(path, &error))?;
        Ok(self.file)
    }
}

impl fmt::Debug for XlsxSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XlsxSink").field("row", &self.row).finish_non_exhaustive()
    }
}

fn failed(path: &Path, error: &XlsxError) -> Error {
    Error::output(path, format!("the workbook cannot be written ({error}); write CSV or JSONL"))
}

/// Returns a number as a workbook stores it, or `None` if that would lose digits.
///
/// Spreadsheet programs preserve only 15 digits.
fn exact(number: &serde_json::Number) -> Option<f64> {
    let value = number.as_f64()?;
    (number.is_f64() || value.abs() < 1e15).then_some(value)
}
