use serde_json::Value;

use crate::Error;

/// A source of rows. Each format has one.
pub(super) trait Source: Send {
    fn next(&mut self) -> Option<Result<Found, Error>>;
}

/// The content of a row, before it is converted.
pub(super) struct Found {
    pub(super) line: Option<u64>,
    pub(super) cells: Result<Vec<Option<Value>>, Defect>,
}

/// The reason why a row cannot be used.
pub(super) enum Defect {
    /// The row has more or fewer cells than the header.
    Ragged(String),
    /// A cell of the row contains an error value, such as `#DIV/0!`.
    #[cfg(feature = "xlsx")]
    ErrorCell(String),
}

/// Returns whether a cell is absent or an empty string.
pub(super) fn is_blank(cell: Option<&Value>) -> bool {
    cell.is_none_or(|value| value.as_str().is_some_and(str::is_empty))
}
