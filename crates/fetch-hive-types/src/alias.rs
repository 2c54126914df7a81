//! The one table of names that differ between sources of the contract: both are read, the documented one is written.

/// `(type, name that is read too, documented name that is written)`.
///
/// Where a reply has values under both names, the documented one is used and the other is kept in `extra`.
pub const ALIASES: &[(&str, &str, &str)] =
    &[("ErrorBody", "code", "error_code"), ("InvokeWorkflowResponse", "status", "run_status")];

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
                    // A value under the other name is among the fields that are not known; mostly there are none.
                    let mut record = Plain::deserialize(deserializer)?;
                    for (_, alias, documented) in $crate::ALIASES.iter().filter(|row| row.0 == $text) {
                        $(
                            if *documented == stringify!($field) && $crate::model::is_default(&record.$field) {
                                if let Some(value) = record.extra.remove(*alias) {
                                    let value = $crate::model::null_as_default(value);
                                    record.$field = value.map_err(serde::de::Error::custom)?;
                                }
                            }
                        )*
                    }
                    Ok(record)
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
