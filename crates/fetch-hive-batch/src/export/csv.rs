use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use encoding_rs::Encoding;
use serde_json::Value;

use crate::error::quoted;
use crate::text::{Encoder, ZIP_SIGNATURE};
use crate::{Dialect, Error, cell_text};

/// A writer for CSV in a given dialect.
pub(super) struct CsvSink {
    file: BufWriter<File>,
    encoder: Encoder,
    dialect: Dialect,
    neutralise_formulas: bool,
    /// Whether the first cell of the next record is quoted, whatever it contains.
    quote_first: bool,
    bytes: Vec<u8>,
}

impl CsvSink {
    pub(super) fn new(
        file: File,
        path: &Path,
        dialect: &Dialect,
        neutralise_formulas: bool,
        names: &[String],
    ) -> Result<Self, Error> {
        let encoding = crate::csv::encoding(&dialect.encoding).map_err(|reason| Error::output(path, reason))?;
        let mut encoder = Encoder::new(encoding);
        // A UTF-16 file could not be recognized without a byte-order mark.
        let mark = dialect.byte_order_mark || encoding.output_encoding() != encoding;
        let bytes = if mark { encoder.byte_order_mark() } else { Vec::new() };
        let mut start = Vec::new();
        let _ = names.first().map(|name| Encoder::new(encoding).encode(name, &mut start));
        let quote_first = !mark && (Encoding::for_bom(&start).is_some() || start.starts_with(ZIP_SIGNATURE));
        let (file, dialect) = (BufWriter::new(file), dialect.clone());
        let mut sink = Self { file, encoder, dialect, neutralise_formulas, quote_first, bytes };
        let header: Vec<_> = names.iter().map(|name| Cow::Owned(Value::from(name.as_str()))).collect();
        sink.write_record(path, "the header", names, &header)?;
        Ok(sink)
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        row: u64,
        names: &[String],
        cells: &[Cow<'_, Value>],
    ) -> Result<(), Error> {
        self.write_record(path, &format!("row {row}"), names, cells)
    }

    fn write_record(
        &mut self,
        path: &Path,
        place: &str,
        names: &[String],
        cells: &[Cow<'_, Value>],
    ) -> Result<(), Error> {
        let mut separator = String::new();
        for (cell, name) in cells.iter().zip(names) {
            let text = cell_text(cell);
            let text = if self.neutralise_formulas && cell.is_string() { neutralise(text) } else { text };
            let quoted_first = std::mem::take(&mut self.quote_first);
            let text = separator + &quote(&text, self.dialect.delimiter, quoted_first);
            separator = self.dialect.delimiter.to_string();
            self.encoder.encode(&text, &mut self.bytes).map_err(|character| {
                let reason = format!(
                    "{place}: the column {} contains U+{:04X}, which {} lacks; set the encoding \"utf-8\"",
                    quoted(name),
                    u32::from(character),
                    self.dialect.encoding
                );
                Error::output(path, reason)
            })?;
        }
        // Every encoding can represent line endings.
        let _ = self.encoder.encode(&self.dialect.line_end, &mut self.bytes);
        self.flush_bytes(path)
    }

    fn flush_bytes(&mut self, path: &Path) -> Result<(), Error> {
        self.file.write_all(&self.bytes).map_err(Error::io("write", path))?;
        self.bytes.clear();
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> Result<File, Error> {
        self.file.into_inner().map_err(|error| Error::io("write", path)(error.into_error()))
    }
}

impl fmt::Debug for CsvSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSink").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// Returns a cell as it is written to the file, in quotes if necessary.
///
/// Cells that contain any common delimiter are quoted, so that programs can detect the file's
/// delimiter.
fn quote(text: &str, delimiter: char, always: bool) -> Cow<'_, str> {
    let special = |c: char| c == delimiter || matches!(c, '"' | '\r' | '\n' | ',' | ';' | '\t' | '|');
    // Some programs trim spaces, and a byte-order mark at the start of the file would be lost.
    let edge = |c: char| c == ' ' || c == '\u{feff}';
    if always || text.contains(special) || text.starts_with(edge) || text.ends_with(edge) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the text, with a prefix if a spreadsheet program would execute it as a formula.
fn neutralise(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(&text) {
        Cow::Owned(format!("'{text}"))
    } else {
        text
    }
}

/// Returns whether a text is a signed number, with either a decimal point or a decimal comma.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_neutralised_and_numbers_are_not() {
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "-", "+49 30 1234"] {
            assert_eq!(neutralise(text.into()), format!("'{text}"));
        }
        for text in ["-5", "+1.5", "-1,5", "", "a=b", "1-2", "'=1"] {
            assert_eq!(neutralise(text.into()), text);
        }
    }
}
