use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An input row.
///
/// It can be serialized. `Debug` shows the number of cells, but not their contents.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    number: u64,
    line: Option<u64>,
    /// The values of the cells. An absent cell is null here, and is listed in `absent`.
    cells: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absent: Vec<usize>,
    /// The original values of the cells that were converted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    originals: BTreeMap<usize, Value>,
}

impl Row {
    pub(crate) fn new(number: u64, line: Option<u64>, cells: Vec<Option<Value>>) -> Self {
        let absent = (0..cells.len()).filter(|index| cells[*index].is_none()).collect();
        let cells = cells.into_iter().map(Option::unwrap_or_default).collect();
        Self { number, line, cells, absent, originals: BTreeMap::new() }
    }

    /// Replaces the value of a cell, and keeps the original value for the results.
    pub(crate) fn convert(&mut self, index: usize, value: Option<Value>) {
        if value.is_none() {
            self.absent.push(index);
        }
        let original = std::mem::replace(&mut self.cells[index], value.unwrap_or_default());
        self.originals.insert(index, original);
    }

    /// Returns the number of the row in the batch, counted from 1.
    ///
    /// Skipped rows are not counted.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the line in the file on which the row starts or the row in the sheet, or `None` for
    /// rows in memory.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Returns the number of cells, including absent ones.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Returns `true` if the row has no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Returns the value of a cell, or `None` if it is absent.
    pub fn get(&self, column: usize) -> Option<&Value> {
        if self.absent.contains(&column) { None } else { self.cells.get(column) }
    }

    /// Returns the original value of a cell, before any conversion to a number or JSON.
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

/// A row that was skipped because an option allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRow {
    /// The line in the file on which the row starts, or the row in the sheet.
    pub line: u64,
    /// The reason why the row was skipped. It does not include cell contents.
    pub reason: String,
}

impl fmt::Display for SkippedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}
