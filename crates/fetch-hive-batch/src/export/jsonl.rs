use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::{Header, Row, RowResult};

/// A writer for one JSON object per row.
#[derive(Debug)]
pub(super) struct JsonlSink {
    file: BufWriter<File>,
    prefix: String,
    header: Arc<Header>,
}

impl JsonlSink {
    pub(super) fn new(file: File, prefix: &str, header: &Arc<Header>) -> Self {
        Self { file: BufWriter::new(file), prefix: prefix.to_owned(), header: Arc::clone(header) }
    }

    pub(super) fn write(
        &mut self,
        row: &Row,
        result: &RowResult,
        keys: &[String],
        flat: &[Option<Value>],
    ) -> io::Result<()> {
        let line = Line { prefix: &self.prefix, header: &self.header, row, result, keys, flat };
        serde_json::to_writer(&mut self.file, &line)?;
        self.file.write_all(b"\n")
    }

    pub(super) fn finish(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// An object with the original columns, the result and the flattened output.
struct Line<'a> {
    prefix: &'a str,
    header: &'a Header,
    row: &'a Row,
    result: &'a RowResult,
    keys: &'a [String],
    flat: &'a [Option<Value>],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { prefix, header, row, result, keys, flat } = self;
        let mut map = serializer.serialize_map(None)?;
        for (column, name) in header.names().iter().enumerate() {
            if let Some(value) = row.get(column) {
                map.serialize_entry(name, value)?;
            }
        }
        map.serialize_entry(&format!("{prefix}row"), &row.number())?;
        map.serialize_entry(&format!("{prefix}line"), &row.line())?;
        map.serialize_entry(&format!("{prefix}status"), result.status.as_str())?;
        map.serialize_entry(&format!("{prefix}request_id"), &result.request_id)?;
        map.serialize_entry(&format!("{prefix}output"), &result.output)?;
        map.serialize_entry(&format!("{prefix}error"), &result.error)?;
        map.serialize_entry(&format!("{prefix}attempts"), &result.attempts)?;
        map.serialize_entry(&format!("{prefix}started_at"), &result.started_at)?;
        map.serialize_entry(&format!("{prefix}seconds"), &result.seconds)?;
        map.serialize_entry(&format!("{prefix}tokens"), &result.tokens)?;
        map.serialize_entry(&format!("{prefix}details"), &result.details)?;
        for (key, value) in keys.iter().zip(flat.iter()) {
            map.serialize_entry(&format!("{prefix}output.{key}"), value)?;
        }
        map.end()
    }
}
