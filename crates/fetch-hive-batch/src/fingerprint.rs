use std::fmt::{self, Write as _};

use ring::digest::{Context, Digest, SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{list, quoted};
use crate::{Error, Header, Mapping, Row};

/// A fingerprint of the rows and the mapping of a batch.
///
/// It does not change if the file is moved, or saved with another delimiter or encoding. `Debug`
/// does not show the mapping.
///
/// ```
/// use fetch_hive_batch::{Fingerprint, Mapping, Rows};
/// use serde_json::json;
///
/// let fingerprint = |mapping: &Mapping, cells: [&'static str; 2]| {
///     let mut rows = Rows::from_iter(["text"], cells.map(|cell| json!([cell])))?;
///     let mut fingerprint = Fingerprint::builder(rows.header(), mapping)?;
///     rows.try_for_each(|row| row.map(|row| fingerprint.add(&row)))?;
///     Ok::<_, fetch_hive_batch::Error>(fingerprint.finish())
/// };
/// let mapping = Mapping::prompt("translate").columns(["text"]);
/// let before = fingerprint(&mapping, ["one", "two"])?;
/// assert_eq!(before.difference(&fingerprint(&mapping, ["one", "two"])?), None);
///
/// let after = fingerprint(&mapping.variant("b"), ["one", "three"])?;
/// assert_eq!(
///     before.difference(&after).unwrap(),
///     "the content of the rows differs; variant was null and is \"b\""
/// );
/// # Ok::<(), fetch_hive_batch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    columns: Vec<String>,
    rows: u64,
    /// The hexadecimal SHA-256 digest of the rows.
    rows_digest: String,
    mapping: Value,
}

impl Fingerprint {
    /// Creates a builder for a fingerprint. Add all rows to it in order.
    ///
    /// # Errors
    ///
    /// Returns an error if the mapping cannot be serialized.
    pub fn builder(header: &Header, mapping: &Mapping) -> Result<FingerprintBuilder, Error> {
        let mapping = serde_json::to_value(mapping).map_err(|error| Error::Mapping {
            file: None,
            line: None,
            field: "mapping".to_owned(),
            reason: format!("cannot be serialized: {error}"),
        })?;
        Ok(FingerprintBuilder { columns: header.names().to_vec(), mapping, rows: 0, context: Context::new(&SHA256) })
    }

    /// Returns the hexadecimal SHA-256 digest of the rows and the mapping.
    pub fn digest(&self) -> String {
        let Self { columns, rows, rows_digest, mapping } = self;
        // JSON separates the parts unambiguously, and its keys are sorted.
        hex(&digest(&SHA256, serde_json::json!([columns, rows, rows_digest, mapping]).to_string().as_bytes()))
    }

    /// Returns a one-line description of how another fingerprint differs, or `None` if it is equal.
    ///
    /// The description contains column and option names, but neither templates nor constants.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let mut differences = Vec::new();
        let only = |of: &[String], than: &[String]| -> Vec<String> {
            of.iter().filter(|name| !than.contains(name)).cloned().collect()
        };
        let removed = only(&self.columns, &other.columns);
        let added = only(&other.columns, &self.columns);
        if !removed.is_empty() {
            differences.push(format!("the columns {} were removed", list(&removed)));
        }
        if !added.is_empty() {
            differences.push(format!("the columns {} were added", list(&added)));
        }
        if self.columns != other.columns && removed.is_empty() && added.is_empty() {
            differences.push("the columns are in another order".to_owned());
        }
        if self.rows != other.rows {
            differences.push(format!("the number of rows was {} and is {}", self.rows, other.rows));
        } else if self.columns == other.columns && self.rows_digest != other.rows_digest {
            differences.push("the content of the rows differs".to_owned());
        }
        compare("", &self.mapping, &other.mapping, &mut differences);
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

/// Collects the differences between two mappings, each with its path.
fn compare(path: &str, before: &Value, after: &Value, differences: &mut Vec<String>) {
    match (before, after) {
        _ if before == after => {}
        // The kind of the target or source has changed.
        (Value::Object(old), Value::Object(new)) if old.len() == 1 && new.len() == 1 && !old.keys().eq(new.keys()) => {
            differences.push(describe(path, before, after));
        }
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let value = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                compare(&path, &value(before), &value(after), differences);
            }
        }
        // These are pairs of names and sources, in the order of the mapping.
        (Value::Array(_), Value::Array(_)) => {
            let (before, after) = (by_name(before), by_name(after));
            if before == after {
                differences.push(format!("{path} are in another order"));
            }
            compare(path, &before, &after, differences);
        }
        _ => {
            let hidden = path.ends_with(".template") || path.contains(".constant");
            differences.push(if hidden { format!("{path} differs") } else { describe(path, before, after) });
        }
    }
}

/// Returns a list of pairs as an object.
fn by_name(pairs: &Value) -> Value {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs.filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.clone()))).collect()
}

fn describe(path: &str, before: &Value, after: &Value) -> String {
    match (short(before), short(after)) {
        (Some(before), Some(after)) => format!("{path} was {before} and is {after}"),
        _ => format!("{path} differs"),
    }
}

/// Formats a value for a description, without templates and constants.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Object(object) if object.len() == 1 => {
            let (kind, value) = object.iter().next()?;
            match value.as_str() {
                Some(text) if kind != "template" && kind != "constant" => Some(format!("{kind} {}", quoted(text))),
                _ => Some(format!("a {kind}")),
            }
        }
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").field("rows", &self.rows).field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// A builder for a [`Fingerprint`].
pub struct FingerprintBuilder {
    columns: Vec<String>,
    mapping: Value,
    rows: u64,
    context: Context,
}

impl FingerprintBuilder {
    /// Adds the next row.
    pub fn add(&mut self, row: &Row) {
        self.rows += 1;
        for column in 0..row.len() {
            for cell in [row.get(column), row.original(column)] {
                // An absent cell differs from null, and JSON text contains no unescaped line
                // endings.
                self.context.update(cell.map_or_else(String::new, Value::to_string).as_bytes());
                self.context.update(b"\n");
            }
        }
    }

    /// Returns the fingerprint of all rows that have been added.
    pub fn finish(self) -> Fingerprint {
        let Self { columns, mapping, rows, context } = self;
        Fingerprint { columns, rows, rows_digest: hex(&context.finish()), mapping }
    }
}

impl fmt::Debug for FingerprintBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintBuilder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Formats a digest as hexadecimal digits.
pub(crate) fn hex(digest: &Digest) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
