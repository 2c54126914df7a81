use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// A description of a value that a request cannot carry.
///
/// It is reported as an error before the request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidField {
    /// The name of the field that holds the value.
    pub name: String,
    /// The reason why the value is invalid. It does not contain the value.
    pub reason: String,
}

/// The start inputs of a workflow or prompt, by name.
///
/// An input is a JSON value of any type. It is serialized when it is set, and sent as that text. If
/// a value cannot be serialized, its name is kept, and the request fails with that name before it
/// is sent. This way, setters can be chained without error handling. See the
/// [contract](crate::contract#workflows).
///
/// Serialize inputs with `serde_json`, because other formats do not support JSON text as a value.
/// `Debug` shows the names and the lengths of the values.
#[derive(Clone, Default)]
pub struct Inputs {
    values: BTreeMap<String, JsonText>,
    invalid: Option<InvalidField>,
}

impl Inputs {
    /// Creates an empty set of inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one input, and replaces an earlier input of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Serialize) {
        let name = name.into();
        match to_raw_value(&value) {
            Ok(value) => {
                self.values.insert(name, JsonText::new(value));
            }
            Err(error) => self.reject(name, error.to_string()),
        }
    }

    /// Adds every field of a struct or map as an input.
    pub fn extend(&mut self, inputs: impl Serialize) {
        let text = match serde_json::to_string(&inputs) {
            Ok(text) => text,
            Err(error) => return self.reject("inputs".to_owned(), error.to_string()),
        };
        match serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text) {
            Ok(values) => self.values.extend(values.into_iter().map(|(name, value)| (name, JsonText::new(value)))),
            Err(_) => self.reject("inputs".to_owned(), "must serialize to an object".to_owned()),
        }
    }

    fn reject(&mut self, name: String, reason: String) {
        self.invalid.get_or_insert(InvalidField { name, reason });
    }

    /// Returns an input, parsed from its JSON text.
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.values.get(name)?.as_str()).ok()
    }

    /// Returns the valid inputs by name, each as JSON text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &JsonText)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns the first input that could not be serialized, if there is one.
    pub fn invalid(&self) -> Option<&InvalidField> {
        self.invalid.as_ref()
    }

    /// Returns the number of valid inputs.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are no valid inputs.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// A JSON value as text. Cloning is cheap.
///
/// `Debug` shows the length.
#[derive(Clone)]
pub struct JsonText(Text);

/// The text itself. A short one is copied when it is cloned, which costs no more than sharing it.
#[derive(Clone)]
enum Text {
    Short(Box<RawValue>),
    Long(Arc<Box<RawValue>>),
}

const LONG: usize = 1 << 10;

impl JsonText {
    fn new(value: Box<RawValue>) -> Self {
        Self(if value.get().len() < LONG { Text::Short(value) } else { Text::Long(Arc::new(value)) })
    }

    fn raw(&self) -> &RawValue {
        match &self.0 {
            Text::Short(value) => value,
            Text::Long(value) => value,
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.raw().get()
    }
}

impl AsRef<[u8]> for JsonText {
    fn as_ref(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.as_str().len())
    }
}

impl PartialEq for Inputs {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter()) && self.invalid == other.invalid
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<Map<String, Value>> for Inputs {
    fn from(values: Map<String, Value>) -> Self {
        let mut inputs = Self::new();
        for (name, value) in values {
            inputs.insert(name, value);
        }
        inputs
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(name, value)| (name, value.raw())))
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a map, because only serde_json's own deserializer returns JSON text.
        Map::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Broken;

    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not serializable"))
        }
    }

    #[test]
    fn first_value_that_fails_to_serialize_is_named() {
        let mut inputs = Inputs::new();
        inputs.insert("topic", "enterprise AI");
        inputs.insert("chart", Broken);
        inputs.insert("later", Broken);
        let invalid = inputs.invalid().unwrap();
        assert_eq!((invalid.name.as_str(), invalid.reason.as_str()), ("chart", "not serializable"));
        assert_eq!((inputs.len(), inputs.get("topic").unwrap()), (1, "enterprise AI".into()));
    }

    #[test]
    fn maps_are_added_and_lists_are_rejected() {
        let mut inputs = Inputs::new();
        inputs.extend(HashMap::from([("a", 1)]));
        inputs.insert("a", 2);
        assert_eq!(serde_json::to_string(&inputs).unwrap(), r#"{"a":2}"#);
        let read: Inputs = serde_json::from_str(r#"{"a": 2}"#).unwrap();
        assert!(read == inputs && serde_json::to_value(&inputs).unwrap() == serde_json::json!({"a": 2}));
        inputs.extend([1, 2]);
        assert_eq!(inputs.invalid().unwrap().name, "inputs");
    }
}
