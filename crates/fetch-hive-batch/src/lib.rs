#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod csv;
mod error;
mod export;
mod fingerprint;
mod header;
mod mapping;
mod options;
mod result;
mod row;
mod rows;
mod text;

use std::borrow::Cow;

use serde_json::Value;

pub use batch::{Batch, BatchBuilder, End, Progress, Resolution, RowReport, Sample, Stop, Worker};
pub use csv::Dialect;
pub use error::Error;
pub use export::{Export, ResultWriter, Written, output_keys};
pub use fetch_hive_store::batches::RowStatus;
pub use fingerprint::{Fingerprint, FingerprintBuilder};
pub use header::Header;
pub use mapping::{BoundMapping, Expr, Mapping, RunLabel, RunRequest, Target};
pub use options::{Format, ReadOptions};
pub use result::RowResult;
pub use row::{Row, SkippedRow};
pub use rows::Rows;

/// Returns a value as cell text: strings unchanged, null as an empty string, and other values as
/// JSON.
pub(crate) fn cell_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
