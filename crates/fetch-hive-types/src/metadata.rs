use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::InvalidField;

/// A value of [`Metadata`]: a string, a number, a boolean or null; nothing nested (contract, section 9).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataValue {
    /// JSON null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as it was written: `12` stays `12` and `12.0` stays `12.0`.
    Number(Number),
    /// A text.
    String(String),
}

/// A float that JSON has no form for: NaN or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a finite number, which JSON cannot carry")
    }
}

impl std::error::Error for NotFinite {}

impl TryFrom<f64> for MetadataValue {
    type Error = NotFinite;

    fn try_from(value: f64) -> Result<Self, NotFinite> {
        Number::from_f64(value).map(Self::Number).ok_or(NotFinite)
    }
}

impl From<i8> for MetadataValue {
    fn from(value: i8) -> Self {
        Self::Number(value.into())
    }
}

impl From<i16> for MetadataValue {
    fn from(value: i16) -> Self {
        Self::Number(value.into())
    }
}

impl From<i32> for MetadataValue {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for MetadataValue {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<isize> for MetadataValue {
    fn from(value: isize) -> Self {
        Self::Number(value.into())
    }
}

impl From<u8> for MetadataValue {
    fn from(value: u8) -> Self {
        Self::Number(value.into())
    }
}

impl From<u16> for MetadataValue {
    fn from(value: u16) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for MetadataValue {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for MetadataValue {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<usize> for MetadataValue {
    fn from(value: usize) -> Self {
        Self::Number(value.into())
    }
}

impl From<bool> for MetadataValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for MetadataValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for MetadataValue {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl<T: Into<MetadataValue>> From<Option<T>> for MetadataValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for MetadataValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flat;

        impl Visitor<'_> for Flat {
            type Value = MetadataValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, a boolean or null (metadata is flat)")
            }

            fn visit_unit<E: de::Error>(self) -> Result<MetadataValue, E> {
                Ok(MetadataValue::Null)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<MetadataValue, E> {
                Ok(value.into())
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<MetadataValue, E> {
                Ok(value.into())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<MetadataValue, E> {
                Ok(value.into())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<MetadataValue, E> {
                MetadataValue::try_from(value).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<MetadataValue, E> {
                Ok(value.into())
            }

            fn visit_string<E: de::Error>(self, value: String) -> Result<MetadataValue, E> {
                Ok(value.into())
            }
        }

        deserializer.deserialize_any(Flat)
    }
}

/// Flat facts that a caller attaches to a run and gets back as `user_metadata` (contract, section 9).
///
/// Names must not be empty; an empty one, or a float that JSON cannot carry, is reported when the request is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    values: BTreeMap<String, MetadataValue>,
    invalid: Option<InvalidField>,
}

impl Metadata {
    /// No metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one value: a string, an integer, a float, a boolean, or an `Option` of them for null.
    pub fn insert(&mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: fmt::Display>) {
        let name = name.into();
        match value.try_into() {
            Ok(_) if name.is_empty() => self.reject(name, "has an empty name".to_owned()),
            Ok(value) => {
                self.values.insert(name, value);
            }
            Err(error) => self.reject(name, error.to_string()),
        }
    }

    /// Adds every field of a struct or map. A field with a value that is not flat is reported when the request is sent.
    pub fn extend(&mut self, values: impl Serialize) {
        let fields = match serde_json::to_value(values) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return self.reject("metadata".to_owned(), "must serialize to an object".to_owned()),
            Err(error) => return self.reject("metadata".to_owned(), error.to_string()),
        };
        for (name, value) in fields {
            match MetadataValue::deserialize(value) {
                Ok(value) => self.insert(name, value),
                Err(error) => self.reject(name, error.to_string()),
            }
        }
    }

    fn reject(&mut self, name: String, reason: String) {
        self.invalid.get_or_insert(InvalidField { name, reason });
    }

    /// The values that were taken.
    pub fn values(&self) -> &BTreeMap<String, MetadataValue> {
        &self.values
    }

    /// One value by name.
    pub fn get(&self, name: &str) -> Option<&MetadataValue> {
        self.values.get(name)
    }

    /// The first entry that was refused, if any.
    pub fn invalid(&self) -> Option<&InvalidField> {
        self.invalid.as_ref()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<K: Into<String>, V: TryInto<MetadataValue, Error: fmt::Display>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (name, value) in entries {
            metadata.insert(name, value);
        }
        metadata
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, MetadataValue>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_13_numbers_and_null_survive_as_written() {
        let text = r#"{"a":12,"b":12.0,"c":null,"d":true,"e":"x","f":18446744073709551615,"g":-1}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(metadata.values().len(), 7);
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        assert_eq!(metadata.get("a"), Some(&MetadataValue::from(12)));
        assert_ne!(metadata.get("b"), Some(&MetadataValue::from(12)));
    }

    #[test]
    fn nested_values_are_refused() {
        for text in [r#"{"a":[1]}"#, r#"{"a":{}}"#] {
            let error = serde_json::from_str::<Metadata>(text).unwrap_err().to_string();
            assert!(error.contains("metadata is flat"), "{error}");
        }
    }

    #[test]
    fn maps_are_added_and_nested_values_are_reported_by_name() {
        let mut metadata = Metadata::new();
        metadata.extend(serde_json::json!({"order": "o_42", "tags": ["a"], "count": 3, "empty": null}));
        assert_eq!(serde_json::to_string(&metadata).unwrap(), r#"{"count":3,"empty":null,"order":"o_42"}"#);
        let invalid = metadata.invalid().unwrap();
        assert_eq!(invalid.name, "tags");
        assert!(invalid.reason.contains("metadata is flat"), "{}", invalid.reason);

        let mut list = Metadata::new();
        list.extend([1, 2]);
        assert_eq!(list.invalid().unwrap().name, "metadata");
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let mut metadata = Metadata::new();
        metadata.insert("rate", 0.5);
        metadata.insert("region", None::<&str>);
        assert_eq!(metadata.invalid(), None);
        metadata.insert("ratio", f64::NAN);
        assert_eq!(metadata.invalid().unwrap().name, "ratio");
        let unnamed = Metadata::from_iter([("", 1)]);
        assert_eq!(unnamed.invalid().unwrap().reason, "has an empty name");
    }
}
