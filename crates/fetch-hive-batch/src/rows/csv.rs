use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::source::{Defect, Found, Source};
use crate::csv::{CsvReader, encoding};
use crate::text::TextReader;
use crate::{Error, Header, ReadOptions};

struct Csv {
    reader: CsvReader,
    columns: usize,
    delimiter: char,
}

/// Opens a CSV file and reads its header.
pub(super) fn open(file: File, path: &Path, options: &ReadOptions) -> Result<(Header, Box<dyn Source>), Error> {
    let invalid = |reason: String| Error::input(Some(path), None, reason);
    let encoding = options.encoding.as_deref().map(encoding).transpose().map_err(invalid)?;
    let delimiter = options.delimiter.map(|delimiter| check_delimiter(delimiter).map_err(invalid)).transpose()?;
    let mut reader = CsvReader::new(TextReader::new(file, path.to_owned(), encoding)?, delimiter)?;
    let mut names = loop {
        match reader.read()? {
            Some(record) if record.cells == [""] => {}
            Some(record) => break record,
            None => return Err(invalid("is empty; the first line must contain the names of the columns".to_owned())),
        }
    };
    let columns = names.cells.len();
    options.name_columns(&mut names.cells);
    let header = Header::of_file(names.cells, Some(path), Some(names.line))?.with_dialect(reader.dialect());
    let delimiter = reader.dialect().delimiter;
    Ok((header, Box::new(Csv { reader, columns, delimiter })))
}

fn check_delimiter(delimiter: char) -> Result<u8, String> {
    match u8::try_from(delimiter) {
        Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(byte),
        _ => Err(format!("{delimiter:?} cannot be a delimiter; use an ASCII character such as ',' or ';'")),
    }
}

impl Source for Csv {
    fn next(&mut self) -> Option<Result<Found, Error>> {
        let record = match self.reader.read() {
            Ok(record) => record?,
            Err(error) => return Some(Err(error)),
        };
        let found = record.cells.len();
        let blank = record.cells.iter().all(String::is_empty);
        let cells = if found == self.columns || blank {
            Ok(record.cells.into_iter().map(|cell| Some(Value::String(cell))).collect())
        } else {
            Err(Defect::Ragged(format!(
                "the row has {found} cells, but the header has {}; quote cells that contain {:?}, or skip such rows with \
                 `skip_ragged`",
                self.columns, self.delimiter
            )))
        };
        Some(Ok(Found { line: Some(record.line), cells }))
    }
}
