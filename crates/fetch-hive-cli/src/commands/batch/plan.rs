//! What a batch will do, before anything is sent.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use fetch_hive_batch::{Mapping, ReadOptions, Row, RunLabel, RunRequest};
use serde_json::Value;

use super::failed;
use crate::context::Context;
use crate::failure::Result;
use crate::text::one_line;

/// The number of rows that are shown.
const SHOWN: usize = 3;

/// The size of a request that is reported, in bytes.
const LARGE: usize = 1_000_000;

/// What a batch will do.
pub(super) struct Plan<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a ReadOptions,
    pub(super) mapping: &'a Mapping,
    pub(super) name: &'a str,
    /// Whether the first rows are shown.
    pub(super) is_new: bool,
}

impl Plan<'_> {
    /// Reads the whole input, and prints the plan to standard error. Returns the number of rows.
    pub(super) fn show(&self, context: &Context) -> Result<u64> {
        let Self { path, options, mapping, name, is_new } = *self;
        let mut rows = options.open(path).map_err(failed)?;
        let header = rows.header().clone();
        let bound = mapping.bind(&header).map_err(failed)?;
        let out = &context.out;
        let dialect = header.dialect().map_or_else(String::new, |dialect| {
            let delimiter = match dialect.delimiter() {
                '\t' => "tab".to_owned(),
                other => format!("`{other}`"),
            };
            format!(", {}, delimiter {delimiter}", dialect.encoding())
        });
        out.note(&format!("batch {name}: {}{dialect}", path.display()));
        out.note(&format!(
            "columns: {}",
            header.names().iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", ")
        ));
        let (mut count, mut duplicates, mut largest) = (0_u64, 0_u64, (0, 0));
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        while let Some(row) = rows.next().transpose().map_err(failed)? {
            let request = bound.request(&row, RunLabel::new(name, 1)).map_err(failed)?;
            let body = body(&request);
            if is_new && count < SHOWN as u64 {
                out.note(&format!("row {}: {}", row.number(), one_line(&preview(&body))));
            }
            largest = largest.max((body.len(), row.number()));
            count += 1;
            duplicates += u64::from(!seen.insert(hasher.hash_one(cells(&row))));
        }
        let notes = [
            (rows.blank_rows(), "blank rows are left out"),
            (rows.skipped().len() as u64, "invalid rows are skipped"),
            (duplicates, "rows have the same content as an earlier row"),
        ];
        let notes = notes.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("; {count} {text}"));
        out.note(&format!("{count} rows{}", notes.collect::<String>()));
        if largest.0 >= LARGE {
            out.note(&format!("the largest request has {:.1} MB: row {}", megabytes(largest.0), largest.1));
        }
        for skipped in rows.skipped().iter().take(SHOWN) {
            out.note(&format!("skipped {skipped}"));
        }
        Ok(count)
    }
}

/// Returns the content of a row as text.
fn cells(row: &Row) -> String {
    (0..row.len()).map(|column| row.original(column).map_or_else(String::new, Value::to_string) + "\n").collect()
}

/// Returns the body of a request.
fn body(request: &RunRequest) -> String {
    let text = match request {
        RunRequest::Workflow(request) => serde_json::to_string(request),
        RunRequest::Prompt(request) => serde_json::to_string(request),
        RunRequest::Agent(request) => serde_json::to_string(request),
        _ => return String::new(),
    };
    text.unwrap_or_default()
}

/// Returns the start of a body.
fn preview(body: &str) -> String {
    match body.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &body[..end]),
        None => body.to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is rounded")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
