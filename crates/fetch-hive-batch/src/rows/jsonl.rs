use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::convert::has_inexact_integer;
use super::source::{Found, Source};
use crate::csv::encoding;
use crate::error::quoted;
use crate::text::TextReader;
use crate::{Error, Header, ReadOptions};

/// The maximum number of columns, so that a file with different keys on each line cannot exhaust
/// memory.
const MAX_COLUMNS: usize = 16_384;

/// Opens a JSONL file.
///
/// The file is read twice, because any line may contain a field that no earlier line contains.
pub(super) fn open(
    open: impl Fn() -> Result<File, Error>,
    path: &Path,
    options: &ReadOptions,
) -> Result<(Header, Box<dyn Source>), Error> {
    let encoding = options.encoding.as_deref().map(encoding).transpose();
    let encoding = encoding.map_err(|reason| Error::input(Some(path), None, reason))?;
    let reader = || TextReader::new(open()?, path.to_owned(), encoding).map(|text| Lines { text });
    let mut names = Vec::new();
    let mut known = HashSet::new();
    let mut lines = reader()?;
    while let Some((line, Object(fields))) = lines.read()? {
        for (name, _) in fields {
            if known.insert(name.clone()) {
                names.push(name);
            }
        }
        if names.len() > MAX_COLUMNS {
            let reason = format!("the objects have more than {MAX_COLUMNS} different fields; use fewer");
            return Err(lines.text.error(line, reason));
        }
    }
    if names.is_empty() {
        return Err(Error::input(Some(path), None, "contains no objects; each line must be a JSON object"));
    }
    let header = Header::of_file(names.clone(), Some(path), None)?;
    Ok((header, Box::new(Jsonl { lines: reader()?, names })))
}

struct Jsonl {
    lines: Lines,
    names: Vec<String>,
}

impl Source for Jsonl {
    fn next(&mut self) -> Option<Result<Found, Error>> {
        let (line, Object(fields)) = match self.lines.read() {
            Ok(object) => object?,
            Err(error) => return Some(Err(error)),
        };
        let mut cells = vec![None; self.names.len()];
        for (name, value) in fields {
            match self.names.iter().position(|known| *known == name) {
                Some(column) => cells[column] = Some(value),
                None => return Some(Err(self.lines.text.error(line, "the file changed while it was read"))),
            }
        }
        Some(Ok(Found { line: Some(line), cells: Ok(cells) }))
    }
}

/// A reader for lines that contain objects.
struct Lines {
    text: TextReader,
}

impl Lines {
    fn read(&mut self) -> Result<Option<(u64, Object)>, Error> {
        loop {
            if self.text.peek()?.is_none() {
                return Ok(None);
            }
            let line = self.text.line();
            let mut json = String::new();
            self.text.take_until(b"\r\n", &mut json)?;
            if let Some(byte) = self.text.peek()? {
                self.text.skip(byte);
            }
            if json.trim().is_empty() {
                continue;
            }
            let object: Object = serde_json::from_str(&json).map_err(|error| self.text.error(line, invalid(&error)))?;
            let mut names = HashSet::new();
            if let Some((name, _)) = object.0.iter().find(|(name, _)| !names.insert(name)) {
                let reason = format!("the field {} occurs twice; rename one of them", quoted(name));
                return Err(self.text.error(line, reason));
            }
            if has_inexact_integer(&json) {
                let reason = "contains an integer that JSON programs cannot read exactly; write it as text";
                return Err(self.text.error(line, reason));
            }
            return Ok(Some((line, object)));
        }
    }
}

/// Describes a syntax error without including the contents of the line.
fn invalid(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => "is not a JSON object; write one object per line".to_owned(),
        serde_json::error::Category::Eof => "ends within a JSON object; write each object in one line".to_owned(),
        _ => format!("contains invalid JSON at character {}; correct it", error.column()),
    }
}

/// An object that preserves the order of its fields and duplicate fields.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
