//! The one table of names that differ between sources of the contract: both are read, the documented one is written.

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::{Map, Value};

/// `(type, name that is read too, documented name that is written)`.
///
/// Where a reply has both names, the documented one is used and the other is kept in `extra`.
pub const ALIASES: &[(&str, &str, &str)] =
    &[("ErrorBody", "code", "error_code"), ("WorkflowRun", "status", "run_status")];

/// Reads an object of the type `owner` with the aliases of that type renamed.
pub(crate) fn renamed<'de, D: Deserializer<'de>>(owner: &str, deserializer: D) -> Result<Value, D::Error> {
    let mut object = Map::deserialize(deserializer)?;
    for (_, alias, documented) in ALIASES.iter().filter(|row| row.0 == owner) {
        if !object.contains_key(*documented) {
            if let Some(value) = object.remove(*alias) {
                object.insert((*documented).to_owned(), value);
            }
        }
    }
    Ok(Value::Object(object))
}

/// Gives a record declared with `#[serde(remote = "Self")]` the aliases of the table.
macro_rules! aliased {
    ($($name:ident),+) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let object = $crate::alias::renamed(stringify!($name), deserializer)?;
                $name::deserialize(object).map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }
    )+};
}

pub(crate) use aliased;
