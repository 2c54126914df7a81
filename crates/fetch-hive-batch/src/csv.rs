use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::text::TextReader;

/// The delimiters that are tried, in order of preference.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// The dialect of a CSV file, so that results can be written in the same dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    pub(crate) delimiter: char,
    pub(crate) encoding: String,
    pub(crate) byte_order_mark: bool,
    pub(crate) line_end: String,
}

impl Default for Dialect {
    /// Returns the dialect of RFC 4180: commas, CR LF, and UTF-8 without a byte-order mark.
    fn default() -> Self {
        Self { delimiter: ',', encoding: "UTF-8".to_owned(), byte_order_mark: false, line_end: "\r\n".to_owned() }
    }
}

impl Dialect {
    /// Returns the character that separates cells.
    pub fn delimiter(&self) -> char {
        self.delimiter
    }

    /// Returns the name of the encoding.
    pub fn encoding(&self) -> &str {
        &self.encoding
    }

    /// Returns whether the file starts with a byte-order mark.
    pub fn has_byte_order_mark(&self) -> bool {
        self.byte_order_mark
    }

    /// Returns the line ending of the file, which is CR LF, LF or CR.
    pub fn line_end(&self) -> &str {
        &self.line_end
    }
}

/// Returns the encoding with a name such as `latin1`, `windows-1252` or `utf-16le`.
pub(crate) fn encoding(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label_no_replacement(name.as_bytes()).ok_or_else(|| {
        let name = crate::error::quoted(name);
        format!("unknown encoding {name}; use a name such as \"utf-8\", \"utf-16le\" or \"windows-1252\"")
    })
}

/// A reader for the records of a CSV file.
///
/// Unlike other readers, it rejects unclosed quotes and text after a closing quote. Both shift
/// cells, so a request could otherwise contain text from another row.
pub(crate) struct CsvReader {
    text: TextReader,
    delimiter: u8,
    line_end: Option<&'static str>,
    /// Whether a quote was found in an unquoted cell.
    stray_quote: bool,
}

/// A record and the line on which it starts.
pub(crate) struct Record {
    pub(crate) line: u64,
    pub(crate) cells: Vec<String>,
}

impl CsvReader {
    /// Creates a reader, and detects the delimiter if none is given.
    pub(crate) fn new(mut text: TextReader, delimiter: Option<u8>) -> Result<Self, Error> {
        let delimiter = if let Some(delimiter) = delimiter {
            delimiter
        } else {
            let (sample, complete) = text.sample()?;
            find_delimiter(sample, complete)
        };
        Ok(Self { text, delimiter, line_end: None, stray_quote: false })
    }

    /// Returns the dialect of the file. The line ending is known after the first record.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: char::from(self.delimiter),
            encoding: self.text.encoding().name().to_owned(),
            byte_order_mark: self.text.has_byte_order_mark(),
            line_end: self.line_end.unwrap_or("\r\n").to_owned(),
        }
    }

    /// Reads the next record. A blank line is read as a record with one empty cell.
    pub(crate) fn read(&mut self) -> Result<Option<Record>, Error> {
        if self.text.peek()?.is_none() {
            return Ok(None);
        }
        let line = self.text.line();
        let mut cells = Vec::new();
        loop {
            cells.push(self.read_cell()?);
            match self.text.peek()? {
                Some(byte) if byte == self.delimiter => self.text.skip(byte),
                Some(byte) => {
                    self.text.skip(byte);
                    let line_end = match (byte, self.text.peek()) {
                        (b'\r', Ok(Some(b'\n'))) => {
                            self.text.skip(b'\n');
                            "\r\n"
                        }
                        (b'\r', _) => "\r",
                        _ => "\n",
                    };
                    self.line_end.get_or_insert(line_end);
                    return Ok(Some(Record { line, cells }));
                }
                None => return Ok(Some(Record { line, cells })),
            }
        }
    }

    fn read_cell(&mut self) -> Result<String, Error> {
        let mut cell = String::new();
        if self.text.peek()? != Some(b'"') {
            self.text.take_until(&[self.delimiter, b'\r', b'\n'], &mut cell)?;
            self.stray_quote |= cell.contains('"');
            return Ok(cell);
        }
        let first_line = self.text.line();
        self.text.skip(b'"');
        loop {
            self.text.take_until(b"\"\r\n", &mut cell)?;
            match self.text.peek()? {
                None => {
                    return Err(self.text.error(
                        first_line,
                        "a quote opens here and is never closed; close it, or write \"\" for a quote within a cell",
                    ));
                }
                Some(b'"') => {
                    self.text.skip(b'"');
                    if self.text.peek()? != Some(b'"') {
                        break;
                    }
                    self.text.skip(b'"');
                    cell.push('"');
                }
                Some(byte) => {
                    self.text.skip(byte);
                    cell.push(char::from(byte));
                }
            }
        }
        match self.text.peek()? {
            Some(byte) if byte != self.delimiter && byte != b'\r' && byte != b'\n' => Err(self.text.error(
                self.text.line(),
                format!(
                    "text follows a closing quote; write \"\" for a quote within a cell, or set the delimiter (now {:?})",
                    char::from(self.delimiter)
                ),
            )),
            _ => Ok(cell),
        }
    }
}

/// Returns the delimiter that divides a sample into records with the same number of cells.
///
/// The header must have at least two cells. Delimiters that leave no stray quotes in unquoted cells
/// are preferred, because programs that write CSV quote such cells. If several delimiters fit
/// equally well, the one with the most cells wins. If none fits, the file has one column, and the
/// delimiter is a comma.
fn find_delimiter(sample: &str, complete: bool) -> u8 {
    let mut best = None;
    for delimiter in DELIMITERS {
        let Some(fit) = measure(sample, complete, delimiter) else { continue };
        if best.is_none_or(|(best_fit, _)| fit > best_fit) {
            best = Some((fit, delimiter));
        }
    }
    best.map_or(b',', |(_, delimiter)| delimiter)
}

/// Measures how well a delimiter fits: whether there are no stray quotes, how many records per
/// thousand have as many cells as the first one, and the number of cells in the first one. Returns
/// `None` if the delimiter does not fit.
fn measure(sample: &str, complete: bool, delimiter: u8) -> Option<(bool, usize, usize)> {
    const RECORDS: usize = 200;
    let text = TextReader::from_text(sample, "".into());
    let mut reader = CsvReader { text, delimiter, line_end: None, stray_quote: false };
    let mut lengths = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(record)) if record.cells.iter().all(String::is_empty) => {}
            Ok(Some(record)) => lengths.push(record.cells.len()),
            Ok(None) => {
                // The last record of an incomplete sample may be truncated.
                if !complete && lengths.len() > 1 {
                    lengths.pop();
                }
                break;
            }
            // The truncation itself may cause the error, for example an unclosed quote.
            Err(_) if !complete && reader.text.peek().is_ok_and(|byte| byte.is_none()) => break,
            Err(_) => return None,
        }
        if lengths.len() == RECORDS {
            break;
        }
    }
    let columns = *lengths.first()?;
    let regular = lengths.iter().filter(|length| **length == columns).count();
    (columns > 1).then(|| (!reader.stray_quote, regular * 1000 / lengths.len(), columns))
}
