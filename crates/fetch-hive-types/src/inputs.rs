use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Extra;

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
/// An input is a JSON value of any type. If a value cannot be serialized, its name is kept, and the
/// request fails with that name before it is sent. This way, setters can be chained without error
/// handling. See the [contract](crate::contract#workflows).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    values: Extra,
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
        match serde_json::to_value(value) {
            Ok(value) => {
                self.values.insert(name, value);
            }
            Err(error) => self.reject(name, error.to_string()),
        }
    }

    /// Adds every field of a struct or map as an input.
    pub fn extend(&mut self, inputs: impl Serialize) {
        match serde_json::to_value(inputs) {
            Ok(Value::Object(object)) => self.values.extend(object),
            Ok(_) => self.reject("inputs".to_owned(), "must serialize to an object".to_owned()),
            Err(error) => self.reject("inputs".to_owned(), error.to_string()),
        }
    }

    fn reject(&mut self, name: String, reason: String) {
        self.invalid.get_or_insert(InvalidField { name, reason });
    }

    /// Returns the valid inputs by name.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Returns the first input that could not be serialized, if there is one.
    pub fn invalid(&self) -> Option<&InvalidField> {
        self.invalid.as_ref()
    }

    /// Returns whether there are no valid inputs.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl From<Map<String, Value>> for Inputs {
    fn from(values: Map<String, Value>) -> Self {
        Self { values: values.into(), invalid: None }
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Extra::deserialize(deserializer).map(|values| Self { values, invalid: None })
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
        assert_eq!(inputs.values().len(), 1);
    }

    #[test]
    fn maps_are_added_and_lists_are_rejected() {
        let mut inputs = Inputs::new();
        inputs.extend(HashMap::from([("a", 1)]));
        inputs.insert("a", 2);
        assert_eq!(serde_json::to_string(&inputs).unwrap(), r#"{"a":2}"#);
        inputs.extend([1, 2]);
        assert_eq!(inputs.invalid().unwrap().name, "inputs");
    }
}
