use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fetch_hive_types::EscapedLine;

/// An error from a batch, its input or its results.
///
/// The message names the file and the line, and says what to do. It may contain column names, but
/// no cell contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot {action} {}", EscapedLine(path.display()))]
    #[non_exhaustive]
    Io {
        /// What failed, such as `read` or `create`.
        action: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The underlying I/O error.
        source: io::Error,
    },
    /// The input is invalid.
    #[error("{}{reason}", InputPlace(file.as_deref(), *line))]
    #[non_exhaustive]
    Input {
        /// The path of the file, or `None` for rows in memory.
        file: Option<PathBuf>,
        /// The line in the file or the row in the sheet, counted from 1.
        line: Option<u64>,
        /// The reason, and what to do.
        reason: String,
    },
    /// The mapping does not match the columns or a row.
    #[error("{}{field}: {reason}", InputPlace(file.as_deref(), *line))]
    #[non_exhaustive]
    Mapping {
        /// The path of the file, or `None` for rows in memory.
        file: Option<PathBuf>,
        /// The line in the file or the number of the row, if the error concerns a single row.
        line: Option<u64>,
        /// The part of the request, such as `input "topic"`.
        field: String,
        /// The reason, and what to do.
        reason: String,
    },
    /// No batch has this name.
    #[error("no batch is named {}", EscapedLine(name))]
    #[non_exhaustive]
    NotFound {
        /// The name of the batch.
        name: String,
    },
    /// A batch with this name has different rows or a different mapping.
    #[error(
        "a batch named {} has other rows or another mapping: {difference}; use another name, or the original input",
        EscapedLine(name)
    )]
    #[non_exhaustive]
    Different {
        /// The name of the batch.
        name: String,
        /// A description of the difference, without cell contents.
        difference: String,
    },
    /// The stored definition or a stored row of a batch cannot be read.
    #[error("the stored batch {} cannot be read: {reason}", EscapedLine(name))]
    #[non_exhaustive]
    Corrupt {
        /// The name of the batch.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The operation is not allowed in the current state of the batch.
    #[error("the batch {}: {reason}", EscapedLine(name))]
    #[non_exhaustive]
    NotAllowed {
        /// The name of the batch.
        name: String,
        /// The reason, and what to do.
        reason: String,
    },
    /// The store returned an error.
    #[error(transparent)]
    Store(#[from] fetch_hive_store::StoreError),
    /// The results cannot be written in the requested format.
    #[error("{}: {reason}", EscapedLine(path.display()))]
    #[non_exhaustive]
    Output {
        /// The path of the results file.
        path: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn input(file: Option<&Path>, line: Option<u64>, reason: impl Into<String>) -> Self {
        Self::Input { file: file.map(Path::to_owned), line, reason: reason.into() }
    }

    pub(crate) fn output(path: &Path, reason: impl Into<String>) -> Self {
        Self::Output { path: path.to_owned(), reason: reason.into() }
    }
}

struct InputPlace<'a>(Option<&'a Path>, Option<u64>);

impl fmt::Display for InputPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(file), Some(line)) => write!(f, "{}, line {line}: ", EscapedLine(file.display())),
            Self(Some(file), None) => write!(f, "{}: ", EscapedLine(file.display())),
            Self(None, Some(line)) => write!(f, "row {line}: "),
            Self(None, None) => Ok(()),
        }
    }
}

/// Formats a column name for an error, in quotes and on one line.
pub(crate) fn quoted(name: &str) -> String {
    let mut short: String = name.chars().take(60).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("\"{}\"", EscapedLine(short))
}

/// Formats at most twelve column names for a hint.
pub(crate) fn list(names: &[String]) -> String {
    let mut text = names.iter().take(12).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    if names.len() > 12 {
        text.push_str(", …");
    }
    text
}
