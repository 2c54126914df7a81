use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::InvalidField;

/// A metadata value: a string, a number, a boolean or null.
///
/// The service rejects lists and objects. See the [contract](crate::contract#metadata).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataValue {
    /// The value null, which is different from a missing value.
    Null,
    /// A boolean, either true or false.
    Bool(bool),
    /// A JSON number. It keeps its form: `12` and `12.0` are different values.
    Number(Number),
    /// A string, which may be empty.
    String(String),
}

/// An error that occurs when a floating-point number is infinite or not a number.
///
/// JSON has no form for such a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a finite number, so JSON cannot represent it; use a string or null")
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

/// The metadata that a caller attaches to a run.
///
/// The service returns it as `user_metadata`. Names must not be empty, and values must not be lists
/// or objects. If an entry is invalid, its name is kept, and the request fails with that name
/// before it is sent. See the [contract](crate::contract#metadata).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    values: BTreeMap<String, MetadataValue>,
    invalid: Option<InvalidField>,
}

impl Metadata {
    /// Creates metadata without any values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one value, and replaces an earlier value of the same name.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
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

    /// Adds every field of a struct or map as a value.
    ///
    /// A field that holds a list or an object is invalid.
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

    /// Returns the valid values by name.
    pub fn values(&self) -> &BTreeMap<String, MetadataValue> {
        &self.values
    }

    /// Returns the value of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<&MetadataValue> {
        self.values.get(name)
    }

    /// Returns the first invalid entry, if there is one.
    pub fn invalid(&self) -> Option<&InvalidField> {
        self.invalid.as_ref()
    }

    /// Returns whether there are no valid values.
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
    fn numbers_and_null_keep_their_form() {
        let text = r#"{"a":12,"b":12.0,"c":null,"d":true,"e":"x","f":18446744073709551615,"g":-1}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(metadata.values().len(), 7);
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        assert_eq!(metadata.get("a"), Some(&MetadataValue::from(12)));
        assert_ne!(metadata.get("b"), Some(&MetadataValue::from(12)));
    }

    #[test]
    fn nested_values_are_rejected() {
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
    fn first_invalid_entry_is_named() {
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
