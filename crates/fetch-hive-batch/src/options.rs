use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The format of an input file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Delimited text: `.csv`, `.tsv`, `.tab` and `.txt`.
    Csv,
    /// One JSON object per line: `.jsonl` and `.ndjson`.
    Jsonl,
    /// A workbook from Excel, LibreOffice or another spreadsheet program: `.xlsx` and `.xlsm`.
    Xlsx,
}

impl Format {
    /// Determines the format from the file extension.
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

/// Options for reading rows.
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
    pub(crate) format: Option<Format>,
    pub(crate) encoding: Option<String>,
    pub(crate) delimiter: Option<char>,
    pub(crate) sheet: Option<String>,
    pub(crate) name_empty_columns: bool,
    pub(crate) skip_ragged: bool,
    pub(crate) skip_error_cells: bool,
    pub(crate) number_columns: Vec<String>,
    pub(crate) json_columns: Vec<String>,
    pub(crate) decimal_comma: bool,
    pub(crate) empty_cells_as_absent: bool,
    pub(crate) max_workbook_size: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            encoding: None,
            delimiter: None,
            sheet: None,
            name_empty_columns: false,
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

    /// Sets the format. By default, it is determined from the file extension.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the encoding of a CSV or JSONL file by name, such as `latin1` or `utf-16le`.
    ///
    /// The default is UTF-8. A byte-order mark takes precedence. As in browsers, `latin1` and
    /// `iso-8859-1` are read as `windows-1252`.
    pub fn encoding(mut self, name: impl Into<String>) -> Self {
        self.encoding = Some(name.into());
        self
    }

    /// Sets the delimiter of a CSV file, which must be an ASCII character.
    ///
    /// By default, the delimiter is detected: the one among `,`, `;`, tab and `|` that divides the
    /// first lines into the same number of cells.
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Sets the sheet of a workbook by name. The default is the first sheet.
    pub fn sheet(mut self, name: impl Into<String>) -> Self {
        self.sheet = Some(name.into());
        self
    }

    /// Sets whether columns without a name are named `column 4` after their number.
    ///
    /// By default, such a column causes an error.
    pub fn name_empty_columns(mut self, name: bool) -> Self {
        self.name_empty_columns = name;
        self
    }

    /// Names the columns without a name, if that was requested.
    pub(crate) fn name_columns(&self, names: &mut [String]) {
        if self.name_empty_columns {
            for (number, name) in (1..).zip(names).filter(|(_, name)| name.trim().is_empty()) {
                *name = format!("column {number}");
            }
        }
    }

    /// Sets whether rows with more or fewer cells than the header are skipped and listed.
    ///
    /// By default, such a row causes an error.
    pub fn skip_ragged(mut self, skip: bool) -> Self {
        self.skip_ragged = skip;
        self
    }

    /// Sets whether workbook rows that contain an error value, such as `#DIV/0!`, are skipped and
    /// listed.
    ///
    /// By default, such a row causes an error.
    pub fn skip_error_cells(mut self, skip: bool) -> Self {
        self.skip_error_cells = skip;
        self
    }

    /// Sets the columns whose text is parsed as numbers.
    pub fn number_columns(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.number_columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the columns whose text is parsed as JSON.
    pub fn json_columns(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.json_columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether number columns use a decimal comma, as in `1,5`. The default is a decimal
    /// point.
    pub fn decimal_comma(mut self, decimal_comma: bool) -> Self {
        self.decimal_comma = decimal_comma;
        self
    }

    /// Sets whether empty cells are treated as absent, so that their inputs are not sent. By
    /// default, they are empty strings.
    pub fn empty_cells_as_absent(mut self, absent: bool) -> Self {
        self.empty_cells_as_absent = absent;
        self
    }

    /// Sets the maximum decompressed size of a workbook in bytes. The default is 256 MiB.
    ///
    /// The strings of a workbook are kept in memory while it is read.
    pub fn max_workbook_size(mut self, bytes: u64) -> Self {
        self.max_workbook_size = bytes;
        self
    }
}
