use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{list, quoted};
use crate::{Dialect, Error, Row};

/// The columns of the input, and the file that they come from.
///
/// The column names are unique and not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    names: Vec<String>,
    file: Option<PathBuf>,
    dialect: Option<Dialect>,
}

impl Header {
    /// Creates a header for rows in memory.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no names, if a name is empty, or if a name occurs twice.
    pub fn new(names: impl IntoIterator<Item: Into<String>>) -> Result<Self, Error> {
        Self::of_file(names.into_iter().map(Into::into).collect(), None, None)
    }

    /// Creates the header of a file. `line` is the line that contains it.
    pub(crate) fn of_file(names: Vec<String>, file: Option<&Path>, line: Option<u64>) -> Result<Self, Error> {
        let invalid = |reason: String| Err(Error::input(file, line, reason));
        if names.is_empty() {
            return invalid("contains no columns; the first row must contain their names".to_owned());
        }
        let mut columns = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            let number = index + 1;
            if name.trim().is_empty() {
                let last = number == names.len() && number > 1;
                let hint = if last { "name it, remove the delimiter at the end of each line," } else { "name it" };
                let reason = format!("column {number} has no name in the header; {hint} or set `name_empty_columns`");
                return invalid(reason);
            }
            if let Some(first) = columns.insert(name, number) {
                let name = quoted(name);
                return invalid(format!("columns {first} and {number} are both named {name}; rename one of them"));
            }
        }
        // An absolute path still identifies the file if another process writes the results.
        let file = file.map(|file| file.canonicalize().unwrap_or_else(|_| file.to_owned()));
        Ok(Self { names, file, dialect: None })
    }

    /// Creates a row from a value in memory, such as an item of a stream.
    ///
    /// [`Rows::from_iter`](crate::Rows::from_iter) does this for an iterator. Rows are numbered
    /// from 1.
    ///
    /// # Errors
    ///
    /// Returns an error if the value does not serialize to an object or array that matches the
    /// header.
    pub fn row(&self, number: u64, value: impl Serialize) -> Result<Row, Error> {
        let cells = self.cells(value).map_err(|reason| Error::input(None, Some(number), reason))?;
        Ok(Row::new(number, None, cells))
    }

    pub(crate) fn cells(&self, value: impl Serialize) -> Result<Vec<Option<Value>>, String> {
        match serde_json::to_value(value) {
            Ok(Value::Object(mut object)) => {
                let cells = self.names.iter().map(|name| object.remove(name)).collect();
                match object.keys().next() {
                    None => Ok(cells),
                    Some(name) => {
                        let (name, names) = (quoted(name), list(&self.names));
                        Err(format!("the header does not contain the field {name}; its columns are {names}"))
                    }
                }
            }
            Ok(Value::Array(cells)) if cells.len() == self.names.len() => Ok(cells.into_iter().map(Some).collect()),
            Ok(Value::Array(cells)) => {
                Err(format!("the row has {} cells, but the header has {}", cells.len(), self.names.len()))
            }
            Ok(_) => Err("the row must serialize to an object or an array".to_owned()),
            Err(error) => Err(format!("the row cannot be serialized: {error}")),
        }
    }

    pub(crate) fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the index of a column, or `None` if it does not exist.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    /// Returns the path of the file that the rows come from, if any.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the dialect of the CSV file that the rows come from, if any.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.dialect.as_ref()
    }
}
