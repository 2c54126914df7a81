mod convert;
mod csv;
mod jsonl;
mod memory;
mod source;
#[cfg(feature = "xlsx")]
mod xlsx;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use self::convert::Conversion;
use self::source::{Defect, Found, Source, is_blank};
use crate::{Error, Format, Header, ReadOptions, Row, SkippedRow};

/// An iterator over the rows of a file or over rows in memory.
///
/// Rows are read lazily, so a file may be larger than the available memory. Read all rows before
/// you send the first request, because even the last row may contain an error. After an error, the
/// iterator ends.
///
/// Rows of a file that have no content, such as blank lines, are not returned.
/// [`blank_rows`](Self::blank_rows) counts them.
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

/// A header and the rows that follow it.
type Opened = (Header, Box<dyn Source>);

impl Rows {
    /// Opens a CSV, JSONL or XLSX file. The format is determined from the file extension.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or if its header is missing or invalid.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        ReadOptions::new().open(path)
    }

    /// Creates rows from values in memory.
    ///
    /// Each value must serialize to an object whose keys are column names, or to an array in the
    /// order of the columns. A missing field is an absent cell.
    ///
    /// ```
    /// use fetch_hive_batch::Rows;
    /// use serde_json::json;
    ///
    /// let values = [json!({"id": 1, "text": "Grüße"}), json!({"id": 2})];
    /// let rows = Rows::from_iter(["id", "text"], values)?;
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

    fn new((header, source): Opened, options: &ReadOptions) -> Result<Self, Error> {
        let conversion = Conversion::new(options, &header)?;
        Ok(Self {
            header: Arc::new(header),
            source,
            conversion,
            options: options.clone(),
            count: 0,
            blank: 0,
            skipped: Vec::new(),
            ended: false,
        })
    }

    /// Returns the header.
    pub fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// Returns the rows that have been skipped so far because an option allows it.
    pub fn skipped(&self) -> &[SkippedRow] {
        &self.skipped
    }

    /// Returns how many rows of the file without any content have been read so far.
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

impl ReadOptions {
    /// Opens a file with these options. See [`Rows::open`].
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, if its header is missing or invalid, or if an
    /// option is not supported for the file.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Rows, Error> {
        let path = path.as_ref();
        let format = self.format.map_or_else(|| Format::of(path), Ok)?;
        self.check(format, path)?;
        let open = || File::open(path).map_err(Error::io("open", path));
        match format {
            Format::Csv => Rows::new(csv::open(open()?, path, self)?, self),
            Format::Jsonl => Rows::new(jsonl::open(open, path, self)?, self),
            #[cfg(feature = "xlsx")]
            Format::Xlsx => Rows::new(xlsx::open(open()?, path, self)?, self),
            #[cfg(not(feature = "xlsx"))]
            Format::Xlsx => {
                Err(Error::input(Some(path), None, "is a workbook; build with the feature `xlsx` to read it"))
            }
        }
    }

    /// Creates rows from values in memory with these options. See [`Rows::from_iter`].
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
        Rows::new((header, Box::new(source)), self)
    }

    /// Returns an error if an option would have no effect on the format.
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
