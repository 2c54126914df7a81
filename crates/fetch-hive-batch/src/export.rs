mod csv;
mod jsonl;
mod long_cells;
mod output;
mod target;
#[cfg(feature = "xlsx")]
mod xlsx;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use self::long_cells::LongCells;
pub use self::output::output_keys;
use self::target::Target;
use crate::error::quoted;
use crate::{Dialect, Error, Format, Header, Row, RowResult, RowStatus};

/// The columns that are added after the original columns.
const COLUMNS: [&str; 8] = ["status", "request_id", "output", "error", "attempts", "started_at", "seconds", "tokens"];
/// The additional fields in JSONL.
const JSONL_FIELDS: [&str; 3] = ["row", "line", "details"];

/// Options for writing results.
///
/// ```
/// use fetch_hive_batch::{Export, RowResult, RowStatus, Rows};
/// use serde_json::json;
///
/// # let name = format!("fetch-hive-batch-doc-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # std::fs::create_dir_all(&folder).unwrap();
/// let mut rows = Rows::from_iter(["text"], [json!(["Grüße"])])?;
/// let export = Export::csv(folder.join("results.csv")).prefix("run_");
/// let mut writer = export.create(rows.header())?;
/// let mut result = RowResult::new(RowStatus::Succeeded);
/// result.output = Some(json!("Greetings"));
/// writer.write(&rows.next().unwrap()?, &result)?;
/// let written = writer.finish()?;
/// assert_eq!(written.rows(), 1);
/// assert_eq!(written.count(RowStatus::Succeeded), 1);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), fetch_hive_batch::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    path: PathBuf,
    format: Format,
    prefix: String,
    dialect: Option<Dialect>,
    encoding: Option<String>,
    flatten: Vec<String>,
    neutralise_formulas: bool,
    keep_long_cells: bool,
}

impl Export {
    fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Self {
            path: path.into(),
            format,
            prefix: String::new(),
            dialect: None,
            encoding: None,
            flatten: Vec::new(),
            neutralise_formulas: false,
            keep_long_cells: false,
        }
    }

    /// Writes CSV, in the dialect of the input if the input is CSV.
    pub fn csv(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Format::Csv)
    }

    /// Writes one JSON object per row, with all details.
    pub fn jsonl(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Format::Jsonl)
    }

    /// Writes an XLSX workbook.
    pub fn xlsx(path: impl Into<PathBuf>) -> Self {
        Self::new(path, Format::Xlsx)
    }

    /// Determines the format from the file extension.
    ///
    /// # Errors
    ///
    /// Returns an error if the extension is unknown.
    pub fn to(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let format = Format::of(&path)?;
        Ok(Self::new(path, format))
    }

    /// Sets a prefix for the names of the added columns.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the dialect of the CSV file. By default, it is the dialect of the input.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sets the encoding of the CSV file by name. By default, it is the encoding of the input.
    pub fn encoding(mut self, name: impl Into<String>) -> Self {
        self.encoding = Some(name.into());
        self
    }

    /// Adds a column named `output.<key>` for each of these output keys.
    ///
    /// This applies to outputs that are JSON objects or text that contains a JSON object.
    /// [`output_keys`] lists the keys that occur.
    pub fn flatten(mut self, keys: impl IntoIterator<Item: Into<String>>) -> Self {
        self.flatten = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether CSV cells that a spreadsheet program would execute as formulas get the prefix
    /// `'`.
    ///
    /// These are cells that start with `=`, `+`, `-`, `@`, a tab or CR, except numbers. JSONL and
    /// XLSX do not need this protection.
    pub fn neutralise_formulas(mut self, neutralise: bool) -> Self {
        self.neutralise_formulas = neutralise;
        self
    }

    /// Sets whether CSV cells may exceed the spreadsheet limit of 32,767 characters.
    ///
    /// By default, and always in XLSX, the contents of such a cell are written to a separate file,
    /// and the cell contains the file's name.
    pub fn keep_long_cells(mut self, keep: bool) -> Self {
        self.keep_long_cells = keep;
        self
    }

    /// Checks the column names and the path before anything is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if an added column has the same name as an original one, if the file is the
    /// input file, or if an option is not supported for the format.
    pub fn check(&self, header: &Header) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::output(&self.path, reason));
        let mut added = Vec::new();
        for name in self.columns().into_iter().chain(self.extra_fields()) {
            if header.position(&name).is_some() || added.contains(&name) {
                let name = quoted(&name);
                return invalid(format!(
                    "two columns would be named {name}; set another `prefix`, or rename the column"
                ));
            }
            added.push(name);
        }
        if self.format != Format::Csv && (self.dialect.is_some() || self.encoding.is_some()) {
            return invalid("`dialect` and `encoding` apply only to CSV; remove them".to_owned());
        }
        if let Some(name) = &self.encoding {
            crate::csv::encoding(name).map_err(|reason| Error::output(&self.path, reason))?;
        }
        #[cfg(not(feature = "xlsx"))]
        if self.format == Format::Xlsx {
            return invalid("build with the feature `xlsx` to write a workbook".to_owned());
        }
        match (self.path.canonicalize(), header.file().map(Path::canonicalize)) {
            (Ok(path), Some(Ok(input))) if path == input => {
                invalid("is the input, which is never overwritten; choose another name".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Creates a temporary file for the results, which [`ResultWriter::finish`] renames.
    ///
    /// # Errors
    ///
    /// Returns an error if [`check`](Self::check) fails, or if the file cannot be created.
    pub fn create(&self, header: &Arc<Header>) -> Result<ResultWriter, Error> {
        self.check(header)?;
        let (target, file) = Target::create(&self.path)?;
        let names: Vec<_> = header.names().iter().cloned().chain(self.columns()).collect();
        let sink = match self.format {
            Format::Csv => {
                let mut dialect = self.dialect.clone().or_else(|| header.dialect().cloned()).unwrap_or_default();
                if let Some(name) = &self.encoding {
                    dialect.encoding.clone_from(name);
                }
                Sink::Csv(csv::CsvSink::new(file, &self.path, &dialect, self.neutralise_formulas, &names)?)
            }
            Format::Jsonl => Sink::Jsonl(jsonl::JsonlSink::new(file, &self.prefix, header)),
            #[cfg(feature = "xlsx")]
            Format::Xlsx => Sink::Xlsx(Box::new(xlsx::XlsxSink::new(file, &self.path, &names)?)),
            #[cfg(not(feature = "xlsx"))]
            Format::Xlsx => return Err(Error::output(&self.path, "build with the feature `xlsx` to write a workbook")),
        };
        let limited = self.format == Format::Xlsx || (self.format == Format::Csv && !self.keep_long_cells);
        Ok(ResultWriter {
            long_cells: limited.then(|| LongCells::new(&self.path)),
            columns: names,
            flatten: self.flatten.clone(),
            original_columns: header.names().len(),
            counts: BTreeMap::new(),
            last_row: 0,
            sink,
            target,
        })
    }

    /// Returns the names of the added columns.
    fn columns(&self) -> Vec<String> {
        let columns = COLUMNS.iter().map(|name| format!("{}{name}", self.prefix));
        columns.chain(self.flatten.iter().map(|key| format!("{}output.{key}", self.prefix))).collect()
    }

    fn extra_fields(&self) -> Vec<String> {
        let fields = if self.format == Format::Jsonl { &JSONL_FIELDS[..] } else { &[] };
        fields.iter().map(|name| format!("{}{name}", self.prefix)).collect()
    }
}

/// A writer for results, in input order.
///
/// The results file does not appear at its path until [`finish`](Self::finish) is called. If the
/// writer is dropped first, its files are removed.
#[derive(Debug)]
pub struct ResultWriter {
    // This field is dropped first, because some systems cannot remove an open file.
    sink: Sink,
    target: Target,
    long_cells: Option<LongCells>,
    columns: Vec<String>,
    flatten: Vec<String>,
    original_columns: usize,
    counts: BTreeMap<RowStatus, u64>,
    last_row: u64,
}

#[derive(Debug)]
enum Sink {
    Csv(csv::CsvSink),
    Jsonl(jsonl::JsonlSink),
    #[cfg(feature = "xlsx")]
    Xlsx(Box<xlsx::XlsxSink>),
}

impl ResultWriter {
    /// Writes a row with its result.
    ///
    /// # Errors
    ///
    /// Returns an error if rows are not written in order, if the row has different columns, if the
    /// encoding cannot represent a character, or if the file cannot be written.
    pub fn write(&mut self, row: &Row, result: &RowResult) -> Result<(), Error> {
        let path = self.target.path();
        if row.number() <= self.last_row {
            let reason = format!("row {} comes after row {}; write rows in input order", row.number(), self.last_row);
            return Err(Error::output(path, reason));
        }
        if row.len() != self.original_columns {
            let reason =
                format!("row {} has {} cells, but the header has {}", row.number(), row.len(), self.original_columns);
            return Err(Error::output(path, reason));
        }
        let flat = output::flatten(result.output.as_ref(), &self.flatten);
        if let Sink::Jsonl(sink) = &mut self.sink {
            sink.write(row, result, &self.flatten, &flat).map_err(Error::io("write", path))?;
        } else {
            let mut cells = cells(row, result, &flat);
            if let Some(long_cells) = &mut self.long_cells {
                for (cell, column) in cells.iter_mut().zip(&self.columns) {
                    long_cells.limit(row.number(), column, cell)?;
                }
            }
            match &mut self.sink {
                Sink::Csv(sink) => sink.write(path, row.number(), &self.columns, &cells)?,
                #[cfg(feature = "xlsx")]
                Sink::Xlsx(sink) => sink.write(path, &cells)?,
                Sink::Jsonl(_) => {}
            }
        }
        self.last_row = row.number();
        *self.counts.entry(result.status).or_default() += 1;
        Ok(())
    }

    /// Completes the file and renames it to its final name.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn finish(mut self) -> Result<Written, Error> {
        let path = self.target.path().to_owned();
        let file = match self.sink {
            Sink::Csv(sink) => sink.finish(&path)?,
            Sink::Jsonl(sink) => sink.finish().map_err(Error::io("write", &path))?,
            #[cfg(feature = "xlsx")]
            Sink::Xlsx(sink) => sink.finish(&path)?,
        };
        file.sync_all().map_err(Error::io("write", &path))?;
        drop(file);
        let (path, warning) = self.target.publish();
        let long_cells = self.long_cells.take().map(LongCells::keep).unwrap_or_default();
        Ok(Written { path, warning, counts: self.counts, long_cells })
    }
}

/// Returns the cells of a row for a spreadsheet.
fn cells<'a>(row: &'a Row, result: &'a RowResult, flat: &'a [Option<Value>]) -> Vec<Cow<'a, Value>> {
    let null = || Cow::Owned(Value::Null);
    let text = |text: Option<&str>| text.map_or_else(null, |text| Cow::Owned(Value::from(text)));
    let value = |value: Option<&'a Value>| value.map_or_else(null, Cow::Borrowed);
    let original = (0..row.len()).map(|column| value(row.original(column)));
    let added = [
        text(Some(result.status.as_str())),
        text(result.request_id.as_ref().map(AsRef::as_ref)),
        value(result.output.as_ref()),
        text(result.error.as_deref()),
        Cow::Owned(Value::from(result.attempts)),
        text(result.started_at.as_ref().map(fetch_hive_types::Timestamp::as_str)),
        Cow::Owned(Value::from(result.seconds)),
        Cow::Owned(Value::from(result.tokens)),
    ];
    original.chain(added).chain(flat.iter().map(|cell| value(cell.as_ref()))).collect()
}

/// A summary of the written results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    path: PathBuf,
    warning: Option<String>,
    counts: BTreeMap<RowStatus, u64>,
    long_cells: Vec<PathBuf>,
}

impl Written {
    /// Returns the path of the results file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a warning if the results were written under a different name than requested.
    ///
    /// This happens if the requested file cannot be replaced, for example because it is open in
    /// another program.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Returns the total number of rows.
    pub fn rows(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Returns the number of rows that have a given status.
    pub fn count(&self, status: RowStatus) -> u64 {
        self.counts.get(&status).copied().unwrap_or_default()
    }

    /// Returns the paths of the files that contain cells that exceed the spreadsheet limit.
    pub fn long_cells(&self) -> &[PathBuf] {
        &self.long_cells
    }
}
