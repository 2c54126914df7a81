use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx, XlsxError};
use serde_json::{Number, Value};

use super::source::{Defect, Found, Source};
use crate::error::{list, quoted};
use crate::{Error, Header, ReadOptions};

/// The number of rows that the thread reads ahead.
const READ_AHEAD: usize = 64;

/// Opens a workbook and reads the header of a sheet.
///
/// The sheet reader borrows the workbook, so a thread owns both and sends the rows.
pub(super) fn open(file: File, path: &Path, options: &ReadOptions) -> Result<(Header, Box<dyn Source>), Error> {
    check_size(&file, path, options.max_workbook_size)?;
    let (sender, receiver) = sync_channel(READ_AHEAD);
    let reader = SheetReader { path: path.to_owned(), sheet: options.sheet.clone(), sender };
    thread::Builder::new()
        .name("fetch-hive-batch-xlsx".to_owned())
        .spawn(move || reader.run(file))
        .map_err(Error::io("read", path))?;
    let mut rows = Sheet { receiver, path: path.to_owned(), ended: false };
    let Some(Message::Header { row, mut names }) = rows.receive()? else {
        let reason = "the sheet is empty; its first row must contain the names of the columns";
        return Err(Error::input(Some(path), None, reason));
    };
    options.name_columns(&mut names);
    let header = Header::of_file(names, Some(path), Some(row))?;
    Ok((header, Box::new(rows)))
}

enum Message {
    Header { row: u64, names: Vec<String> },
    Row(Found),
    End,
}

struct Sheet {
    receiver: Receiver<Result<Message, Error>>,
    path: PathBuf,
    ended: bool,
}

impl Sheet {
    fn receive(&mut self) -> Result<Option<Message>, Error> {
        match self.receiver.recv() {
            Ok(Ok(Message::End)) => {
                self.ended = true;
                Ok(None)
            }
            Ok(message) => message.map(Some),
            // The thread ended without a message, so it must have panicked.
            Err(_) => Err(Error::input(Some(&self.path), None, "the workbook is damaged; save it again")),
        }
    }
}

impl Source for Sheet {
    fn next(&mut self) -> Option<Result<Found, Error>> {
        if self.ended {
            return None;
        }
        match self.receive() {
            Ok(Some(Message::Row(row))) => Some(Ok(row)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Checks the decompressed size of a workbook by decompressing it, because the recorded sizes may
/// be wrong.
fn check_size(mut file: &File, path: &Path, limit: u64) -> Result<(), Error> {
    let damaged = |error: &dyn std::fmt::Display| {
        Error::input(Some(path), None, format!("is not a readable workbook ({error}); save it again as .xlsx"))
    };
    let mut start = Vec::new();
    file.take(8).read_to_end(&mut start).map_err(Error::io("read", path))?;
    if start.starts_with(b"\xd0\xcf\x11\xe0") {
        let reason = "is an .xls or password-protected workbook; save it as .xlsx without a password";
        return Err(Error::input(Some(path), None, reason));
    }
    file.rewind().map_err(Error::io("read", path))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let mut remaining = limit;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        let size = io::copy(&mut (&mut entry).take(remaining.saturating_add(1)), &mut io::sink())
            .map_err(|error| damaged(&error))?;
        remaining = remaining.checked_sub(size).ok_or_else(|| {
            let reason = format!(
                "the workbook contains more than {limit} bytes; if you trust it, raise `max_workbook_size`, or save it \
                 as CSV"
            );
            Error::input(Some(path), None, reason)
        })?;
    }
    drop(archive);
    file.rewind().map_err(Error::io("read", path))
}

/// The part of the reader that runs on its thread.
struct SheetReader {
    path: PathBuf,
    sheet: Option<String>,
    sender: SyncSender<Result<Message, Error>>,
}

impl SheetReader {
    fn run(self, file: File) {
        let end = self.read(file).map(|()| Message::End);
        // Sending fails if the receiver was dropped.
        drop(self.sender.send(end));
    }

    fn damaged(&self, error: &XlsxError) -> Error {
        let reason = format!("is not a readable workbook ({error}); save it again as .xlsx");
        Error::input(Some(&self.path), None, fetch_hive_types::EscapedLine(reason).to_string())
    }

    fn read(&self, file: File) -> Result<(), Error> {
        let mut workbook: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(|error| self.damaged(&error))?;
        let sheets = workbook.sheet_names();
        let sheet = match &self.sheet {
            None => sheets.first().cloned(),
            Some(name) => sheets.iter().find(|sheet| *sheet == name).cloned(),
        };
        let Some(sheet) = sheet else {
            let name =
                self.sheet.as_deref().map_or_else(|| "sheet".to_owned(), |name| format!("sheet {}", quoted(name)));
            let reason = format!("there is no {name}; the sheets are {}", list(&sheets));
            return Err(Error::input(Some(&self.path), None, reason));
        };
        let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(|error| self.damaged(&error))?;
        let mut row = SheetRow { sheet: &sheet, number: 0, cells: Vec::new(), error: None };
        let mut span = None;
        loop {
            let cell = cells.next_cell().map_err(|error| self.damaged(&error))?;
            let number = cell.as_ref().map(|cell| cell.get_position().0);
            if number != Some(row.number) {
                let next = number.unwrap_or_default();
                let finished = std::mem::replace(
                    &mut row,
                    SheetRow { sheet: &sheet, number: next, cells: Vec::new(), error: None },
                );
                if let Some(message) = finished.finish(&mut span) {
                    // The receiver was dropped, so the remaining rows are not needed.
                    let message = message.map_err(|reason| Error::input(Some(&self.path), None, reason));
                    if self.sender.send(message).is_err() {
                        return Ok(());
                    }
                }
            }
            match cell {
                Some(cell) => row.add(cell.get_position().1, cell.get_value()),
                None => return Ok(()),
            }
        }
    }
}

/// The non-empty cells of a row, in the order of the sheet.
struct SheetRow<'a> {
    sheet: &'a str,
    number: u32,
    cells: Vec<(u32, Value)>,
    error: Option<String>,
}

impl SheetRow<'_> {
    fn add(&mut self, column: u32, cell: &DataRef<'_>) {
        match cell {
            DataRef::Error(error) => {
                let place = format!("cell {}{} of the sheet {}", letters(column), self.number + 1, quoted(self.sheet));
                self.error.get_or_insert(format!(
                    "{place} contains the error {error}; correct it, or skip such rows with `skip_error_cells`"
                ));
            }
            other => {
                let value = value(other);
                if value.as_str() != Some("") {
                    self.cells.push((column, value));
                }
            }
        }
    }

    /// Returns the message for the row. The first non-empty row is the header, and sets `span` to
    /// the columns of the table.
    fn finish(self, span: &mut Option<(u32, u32)>) -> Option<Result<Message, String>> {
        if self.cells.is_empty() && self.error.is_none() {
            return None;
        }
        let row = u64::from(self.number) + 1;
        let Some((first, last)) = *span else {
            if let Some(error) = self.error {
                return Some(Err(error));
            }
            let first = self.cells.iter().map(|(column, _)| *column).min().unwrap_or_default();
            let last = self.cells.iter().map(|(column, _)| *column).max().unwrap_or_default();
            *span = Some((first, last));
            let mut names = vec![String::new(); usize::try_from(last - first).unwrap_or_default() + 1];
            for (column, value) in self.cells {
                names[usize::try_from(column - first).unwrap_or_default()] = crate::cell_text(&value).into_owned();
            }
            return Some(Ok(Message::Header { row, names }));
        };
        let cells = match (self.error, self.cells.iter().find(|(column, _)| *column < first || *column > last)) {
            (Some(error), _) => Err(Defect::ErrorCell(error)),
            (None, Some((column, _))) => Err(Defect::Ragged(format!(
                "cell {}{row} of the sheet {} is outside of the columns of the header; name its column, or skip such rows \
                 with `skip_ragged`",
                letters(*column),
                quoted(self.sheet)
            ))),
            (None, None) => {
                let empty = Some(Value::String(String::new()));
                let mut cells = vec![empty; usize::try_from(last - first).unwrap_or_default() + 1];
                for (column, value) in self.cells {
                    cells[usize::try_from(column - first).unwrap_or_default()] = Some(value);
                }
                Ok(cells)
            }
        };
        Some(Ok(Message::Row(Found { line: Some(row), cells })))
    }
}

/// Converts a cell to JSON: whole numbers to integers, and dates and times to ISO 8601.
fn value(cell: &DataRef<'_>) -> Value {
    match cell {
        DataRef::Int(number) => Value::from(*number),
        DataRef::Float(number) => float(*number),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Value::from(text.as_str()),
        DataRef::SharedString(text) => Value::from(*text),
        DataRef::Bool(value) => Value::from(*value),
        DataRef::DateTime(time) => Value::from(iso_8601(time)),
        DataRef::Error(_) | DataRef::Empty => Value::from(""),
    }
}

fn float(number: f64) -> Value {
    // Larger numbers are not exact, so their last digits would be wrong.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[allow(clippy::cast_possible_truncation, reason = "checked above")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
}

/// Formats a date, a date with a time, a time or a duration in ISO 8601.
fn iso_8601(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if time.is_duration() {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and the cast saturates"
        )]
        let milliseconds = (days.abs() * 86_400_000.0).round() as u64;
        let sign = if days < 0.0 { "-" } else { "" };
        let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
        let fraction = if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}") };
        return format!("{sign}PT{}H{}M{}{fraction}S", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, milliseconds) = time.to_ymd_hms_milli();
    let fraction = if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}") };
    let clock = format!("{hour:02}:{minute:02}:{second:02}{fraction}");
    // Spreadsheet programs store a time of day as a fraction of a day.
    if (0.0..1.0).contains(&days) {
        return clock;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if clock == "00:00:00" { date } else { format!("{date}T{clock}") }
}

/// Returns the letters of a column, which is counted from 0.
fn letters(mut column: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(column % 26).unwrap_or_default()));
        if column < 26 {
            return letters.iter().rev().collect();
        }
        column = column / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        let names: Vec<_> = [0, 25, 26, 701, 702, 16_383].into_iter().map(letters).collect();
        assert_eq!(names, ["A", "Z", "AA", "ZZ", "AAA", "XFD"]);
    }
}
