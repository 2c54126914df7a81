use serde::Serialize;

use super::source::{Found, Source};
use crate::{Error, Header};

/// A source of rows in memory.
pub(super) struct Memory<I> {
    header: Header,
    rows: I,
    number: u64,
}

impl<I> Memory<I> {
    pub(super) fn new(header: &Header, rows: I) -> Self {
        Self { header: header.clone(), rows, number: 0 }
    }
}

impl<T: Serialize, I: Iterator<Item = T> + Send> Source for Memory<I> {
    fn next(&mut self) -> Option<Result<Found, Error>> {
        let value = self.rows.next()?;
        self.number += 1;
        let cells = self.header.cells(value).map_err(|reason| Error::input(None, Some(self.number), reason));
        Some(cells.map(|cells| Found { line: None, cells: Ok(cells) }))
    }
}
