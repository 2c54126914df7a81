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

/// Declares a record as `record!` does, with the aliases of the table. The text is the type's name once more.
macro_rules! aliased_record {
    ($(#[$meta:meta])* $text:literal $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Fields that this version does not know, as they came.
            pub extra: $crate::Extra,
        }

        const _: () = {
            // Reads and writes the record without the aliases; nobody but the two implementations below gets at it.
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(remote = $text)]
            struct Plain {
                $(
                    #[serde(
                        default,
                        deserialize_with = "crate::model::null_as_default",
                        skip_serializing_if = "crate::model::is_default"
                    )]
                    $field: $type,
                )*
                #[serde(flatten)]
                extra: $crate::Extra,
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Plain::deserialize($crate::alias::renamed($text, deserializer)?).map_err(serde::de::Error::custom)
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Plain::serialize(self, serializer)
                }
            }
        };
    };
}

pub(crate) use aliased_record;
