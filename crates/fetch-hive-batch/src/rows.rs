mod convert;
mod csv;
mod jsonl;
mod memory;
#[cfg(feature = "xlsx")]
mod xlsx;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::convert::Conversion;
use crate::error::list;
use crate::{Error, Header, Row, SkippedRow};

/// An iterator over the rows of a file or of the program.
///
/// It reads while it is consumed, so a file may be larger than the memory. Read all rows before you
/// send the first request, because an error may be in the last row. After an error, the iterator
/// ends.
///
/// Rows without any content, such as blank lines, are not rows of the batch. They are counted in
/// [`blank_rows`](Self::blank_rows).
pub struct Rows {
    header: Arc<Header>,
    source: Box<dyn Source>,
    conversion: Conversion,
    options: ReadOptions,
    count: u64,
    blank: u64,
    skipped: Vec<SkippedRow>,
    ended: bool,
}

/// A source of rows, one for each format.
pub(crate) trait Source: Send {
    fn next(&mut self) -> Option<Result<Found, Error>>;
}

/// The content of a row, before it is converted.
pub(crate) struct Found {
    pub(crate) line: Option<u64>,
    pub(crate) cells: Result<Vec<Option<Value>>, Defect>,
}

/// The reason why a row cannot be used.
pub(crate) enum Defect {
    /// The row has more or fewer cells than the header.
    Ragged(String),
    /// The row contains a cell with an error value, such as `#DIV/0!`.
    #[cfg(feature = "xlsx")]
    ErrorCell(String),
}

impl Rows {
    /// Opens a CSV, JSONL or XLSX file. Its format follows from the extension.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or if its header is missing or invalid.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        ReadOptions::new().open(path)
    }

    /// Creates rows from values of the program.
    ///
    /// Each value serializes to an object with the names of the header, or to an array in the order
    /// of the header. A field that is missing is an absent cell.
    ///
    /// ```
    /// use fetch_hive_batch::Rows;
    /// use serde_json::json;
    ///
    /// let rows = Rows::from_iter(["id", "text"], [json!({"id": 1, "text": "Grüße"}), json!({"id": 2})])?;
    /// let rows = rows.collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(rows[0].get(1), Some(&json!("Grüße")));
    /// assert_eq!(rows[1].get(1), None);
    /// # Ok::<(), fetch_hive_batch::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the header is invalid.
    pub fn from_iter<T: Serialize>(
        header: impl IntoIterator<Item: Into<String>>,
        rows: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    ) -> Result<Self, Error> {
        ReadOptions::new().rows(header, rows)
    }

    fn new(header: Header, source: impl Source + 'static, options: &ReadOptions) -> Result<Self, Error> {
        let conversion = Conversion::new(options, &header)?;
        Ok(Self {
            header: Arc::new(header),
            source: Box::new(source),
            conversion,
            options: options.clone(),
            count: 0,
            blank: 0,
            skipped: Vec::new(),
            ended: false,
        })
    }

    /// Returns the columns.
    pub fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// Returns the rows that were skipped so far because an option allows it.
    pub fn skipped(&self) -> &[SkippedRow] {
        &self.skipped
    }

    /// Returns the number of rows without any content so far.
    pub fn blank_rows(&self) -> u64 {
        self.blank
    }

    fn read(&mut self) -> Result<Option<Row>, Error> {
        loop {
            let Some(Found { line, cells }) = self.source.next().transpose()? else { return Ok(None) };
            let (reason, skip) = match cells {
                Ok(cells) if line.is_some() && cells.iter().all(|cell| is_blank(cell.as_ref())) => {
                    self.blank += 1;
                    continue;
                }
                Ok(cells) => {
                    let row = Row::new(self.count + 1, line, cells);
                    let row = self.conversion.apply(row, &self.header)?;
                    self.count += 1;
                    return Ok(Some(row));
                }
                Err(Defect::Ragged(reason)) => (reason, self.options.skip_ragged),
                #[cfg(feature = "xlsx")]
                Err(Defect::ErrorCell(reason)) => (reason, self.options.skip_error_cells),
            };
            if !skip {
                return Err(Error::input(self.header.file(), line, reason));
            }
            self.skipped.push(SkippedRow { line: line.unwrap_or_default(), reason });
        }
    }
}

fn is_blank(cell: Option<&Value>) -> bool {
    cell.is_none_or(|value| value.as_str().is_some_and(str::is_empty))
}

impl Iterator for Rows {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("header", &self.header)
            .field("options", &self.options)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Text with a delimiter between cells: `.csv`, `.tsv`, `.tab` and `.txt`.
    Csv,
    /// One JSON object per line: `.jsonl` and `.ndjson`.
    Jsonl,
    /// A workbook of Excel, LibreOffice or another spreadsheet program: `.xlsx` and `.xlsm`.
    Xlsx,
}

impl Format {
    /// Returns the format that follows from the extension of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the extension is unknown.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "csv" | "tsv" | "tab" | "txt" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "xlsx" | "xlsm" => Ok(Self::Xlsx),
            "xls" | "xlsb" | "ods" | "numbers" => {
                Err(Error::input(Some(path), None, "is in an unsupported format; save the workbook as .xlsx"))
            }
            _ => Err(Error::input(
                Some(path),
                None,
                "has an unknown extension; use .csv, .tsv, .jsonl or .xlsx, or set the format",
            )),
        }
    }
}

/// The options for reading rows.
///
/// ```no_run
/// use fetch_hive_batch::ReadOptions;
///
/// let rows = ReadOptions::new()
///     .encoding("windows-1252")
///     .number_columns(["Price"])
///     .decimal_comma(true)
///     .open("products.csv")?;
/// # Ok::<(), fetch_hive_batch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "the options are independent of each other")]
pub struct ReadOptions {
    format: Option<Format>,
    encoding: Option<String>,
    delimiter: Option<char>,
    sheet: Option<String>,
    skip_ragged: bool,
    skip_error_cells: bool,
    number_columns: Vec<String>,
    json_columns: Vec<String>,
    decimal_comma: bool,
    empty_cells_as_absent: bool,
    max_workbook_size: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            encoding: None,
            delimiter: None,
            sheet: None,
            skip_ragged: false,
            skip_error_cells: false,
            number_columns: Vec::new(),
            json_columns: Vec::new(),
            decimal_comma: false,
            empty_cells_as_absent: false,
            max_workbook_size: 256 * 1024 * 1024,
        }
    }
}

impl ReadOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the format. By default, it follows from the extension of the file.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the encoding of a CSV or JSONL file by its name, such as `latin1` or `utf-16le`.
    ///
    /// The default is UTF-8. A byte-order mark takes precedence. As in browsers, `latin1` and
    /// `iso-8859-1` are read as `windows-1252`, which contains them.
    pub fn encoding(mut self, name: impl Into<String>) -> Self {
        self.encoding = Some(name.into());
        self
    }

    /// Sets the delimiter of a CSV file, an ASCII character.
    ///
    /// By default, it is the one of `,`, `;`, tab and `|` that divides the first lines into equally
    /// many cells.
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Sets the sheet of a workbook by its name. The default is the first sheet.
    pub fn sheet(mut self, name: impl Into<String>) -> Self {
        self.sheet = Some(name.into());
        self
    }

    /// Sets whether rows with more or fewer cells than the header are skipped and listed.
    ///
    /// By default, such a row is an error.
    pub fn skip_ragged(mut self, skip: bool) -> Self {
        self.skip_ragged = skip;
        self
    }

    /// Sets whether rows of a workbook with an error value, such as `#DIV/0!`, are skipped and
    /// listed.
    ///
    /// By default, such a cell is an error.
    pub fn skip_error_cells(mut self, skip: bool) -> Self {
        self.skip_error_cells = skip;
        self
    }

    /// Sets the columns whose texts are read as numbers.
    pub fn number_columns(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.number_columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the columns whose texts are read as JSON.
    pub fn json_columns(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.json_columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether number columns have a decimal comma, as in `1,5`. The default is a point.
    pub fn decimal_comma(mut self, decimal_comma: bool) -> Self {
        self.decimal_comma = decimal_comma;
        self
    }

    /// Sets whether an empty cell is absent, so that its input is not sent. By default, it is an
    /// empty text.
    pub fn empty_cells_as_absent(mut self, absent: bool) -> Self {
        self.empty_cells_as_absent = absent;
        self
    }

    /// Sets the maximum size of an uncompressed workbook in bytes. The default is 256 MiB.
    ///
    /// The texts of a workbook are kept in memory while it is read.
    pub fn max_workbook_size(mut self, bytes: u64) -> Self {
        self.max_workbook_size = bytes;
        self
    }

    /// Opens a file. See [`Rows::open`].
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, if its header is missing or invalid, or if an
    /// option does not fit the file.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Rows, Error> {
        let path = path.as_ref();
        let format = self.format.map_or_else(|| Format::of(path), Ok)?;
        self.check(format, path)?;
        let open = || File::open(path).map_err(Error::io("open", path));
        match format {
            Format::Csv => csv::open(open()?, path, self),
            Format::Jsonl => jsonl::open(open, path, self),
            #[cfg(feature = "xlsx")]
            Format::Xlsx => xlsx::open(open()?, path, self),
            #[cfg(not(feature = "xlsx"))]
            Format::Xlsx => {
                Err(Error::input(Some(path), None, "is a workbook; build with the feature `xlsx` to read it"))
            }
        }
    }

    /// Creates rows from values of the program. See [`Rows::from_iter`].
    ///
    /// # Errors
    ///
    /// Returns an error if the header is invalid.
    pub fn rows<T: Serialize>(
        &self,
        header: impl IntoIterator<Item: Into<String>>,
        rows: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    ) -> Result<Rows, Error> {
        let header = Header::new(header)?;
        let source = memory::Memory::new(&header, rows.into_iter());
        Rows::new(header, source, self)
    }

    /// Rejects options that would have no effect on a format.
    fn check(&self, format: Format, path: &Path) -> Result<(), Error> {
        let unused = [
            ("encoding", self.encoding.is_some() && format == Format::Xlsx),
            ("delimiter", self.delimiter.is_some() && format != Format::Csv),
            ("sheet", self.sheet.is_some() && format != Format::Xlsx),
        ];
        let names: Vec<_> = unused.iter().filter(|(_, unused)| *unused).map(|(name, _)| *name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let reason = format!("the option {} does not apply to this format; remove it", names.join(", "));
        Err(Error::input(Some(path), None, reason))
    }
}

/// Returns the error for an option that names a column that does not exist.
fn unknown_column(option: &str, name: &str, header: &Header) -> Error {
    let reason =
        format!("{option}: there is no column {}; the columns are {}", list(&[name.to_owned()]), list(header.names()));
    Error::input(header.file(), None, reason)
}
