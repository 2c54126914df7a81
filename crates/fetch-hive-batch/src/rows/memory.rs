use serde::Serialize;
use serde_json::Value;

use super::{Found, Source};
use crate::error::{list, quoted};
use crate::{Error, Header};

/// Rows that the program supplies.
pub(super) struct Memory<I> {
    names: Vec<String>,
    rows: I,
    number: u64,
}

impl<I> Memory<I> {
    pub(super) fn new(header: &Header, rows: I) -> Self {
        Self { names: header.names().to_vec(), rows, number: 0 }
    }

    fn cells(&self, row: impl Serialize) -> Result<Vec<Option<Value>>, String> {
        match serde_json::to_value(row) {
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
}

impl<T: Serialize, I: Iterator<Item = T> + Send> Source for Memory<I> {
    fn next(&mut self) -> Option<Result<Found, Error>> {
        let row = self.rows.next()?;
        self.number += 1;
        let cells = self.cells(row).map_err(|reason| Error::input(None, Some(self.number), reason));
        Some(cells.map(|cells| Found { line: None, cells: Ok(cells) }))
    }
}
