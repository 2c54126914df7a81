//! The contents of the store, and a change to them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::Value;

/// JSON records by kind and scope, and then by id.
pub(crate) type Records = BTreeMap<(String, String), BTreeMap<String, Value>>;

/// The records and the uploaded files.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) records: Records,
    pub(crate) files: HashMap<String, Bytes>,
}

/// A change that is written to the data file. A missing value removes the entry.
#[derive(Debug)]
#[cfg_attr(not(feature = "store"), allow(dead_code, reason = "only a data file reads the fields"))]
pub(crate) enum Change {
    Record { kind: String, scope: String, id: String, value: Option<Vec<u8>> },
    File { id: String, bytes: Option<Bytes> },
}
