use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A row of the input.
///
/// It can be stored as JSON. `Debug` shows the number of cells, but not their content.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    number: u64,
    line: Option<u64>,
    /// Absent cells are null here and listed in `absent`.
    cells: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absent: Vec<usize>,
    /// The cells whose value differs from what the file contains.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    originals: BTreeMap<usize, Value>,
}

impl Row {
    pub(crate) fn new(number: u64, line: Option<u64>, cells: Vec<Option<Value>>) -> Self {
        let absent = (0..cells.len()).filter(|index| cells[*index].is_none()).collect();
        let cells = cells.into_iter().map(Option::unwrap_or_default).collect();
        Self { number, line, cells, absent, originals: BTreeMap::new() }
    }

    /// Replaces the value of a cell, and keeps the original for the results.
    pub(crate) fn convert(&mut self, index: usize, value: Option<Value>) {
        if value.is_none() {
            self.absent.push(index);
        }
        let original = std::mem::replace(&mut self.cells[index], value.unwrap_or_default());
        self.originals.insert(index, original);
    }

    /// Returns the number of the row in the batch, counted from 1.
    ///
    /// Skipped rows have no number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the line of the file on which the row starts, or its row in the sheet.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Returns the number of cells, including absent ones.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Returns whether the row has no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Returns the value of a cell, or `None` if it is absent.
    pub fn get(&self, column: usize) -> Option<&Value> {
        if self.absent.contains(&column) { None } else { self.cells.get(column) }
    }

    /// Returns a cell as the input contains it, before its conversion to a number or JSON.
    pub fn original(&self, column: usize) -> Option<&Value> {
        self.originals.get(&column).or_else(|| self.get(column))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, line, cells, absent, originals: _ } = self;
        f.debug_struct("Row")
            .field("number", number)
            .field("line", line)
            .field("cells", &cells.len())
            .field("absent", absent)
            .finish_non_exhaustive()
    }
}

/// A row that was skipped because of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRow {
    /// The line of the file on which the row starts, or its row in the sheet.
    pub line: u64,
    /// The reason. It contains no content of cells.
    pub reason: String,
}

impl fmt::Display for SkippedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}
