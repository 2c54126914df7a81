use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Extra;

/// A value that could not be taken into a request; reported before anything is sent, with the name it was given under.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidField {
    /// The name of the field or of the entry in it.
    pub name: String,
    /// Why it was refused. Holds no value.
    pub reason: String,
}

/// The start inputs of a workflow or prompt: names with values of any JSON type (contract, section 3).
///
/// A value that fails to serialise is remembered by name and reported when the request is sent, so that calls can be
/// written as one chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    values: Extra,
    invalid: Option<InvalidField>,
}

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one input; a later value for the same name replaces the earlier one.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Serialize) {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => {
                self.values.insert(name, value);
            }
            Err(error) => self.refuse(name, error.to_string()),
        }
    }

    /// Adds every field of a struct or map.
    pub fn extend(&mut self, inputs: impl Serialize) {
        match serde_json::to_value(inputs) {
            Ok(Value::Object(object)) => self.values.extend(object),
            Ok(_) => self.refuse("inputs".to_owned(), "must serialise to an object of names and values".to_owned()),
            Err(error) => self.refuse("inputs".to_owned(), error.to_string()),
        }
    }

    fn refuse(&mut self, name: String, reason: String) {
        self.invalid.get_or_insert(InvalidField { name, reason });
    }

    /// The inputs that were taken.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The first input that could not be serialised, if any.
    pub fn invalid(&self) -> Option<&InvalidField> {
        self.invalid.as_ref()
    }

    /// Whether there is nothing to send.
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
            Err(serde::ser::Error::custom("no form for this"))
        }
    }

    #[test]
    fn a_value_that_fails_to_serialise_is_named() {
        let mut inputs = Inputs::new();
        inputs.insert("topic", "enterprise AI");
        inputs.insert("chart", Broken);
        inputs.insert("later", Broken);
        let invalid = inputs.invalid().unwrap();
        assert_eq!((invalid.name.as_str(), invalid.reason.as_str()), ("chart", "no form for this"));
        assert_eq!(inputs.values().len(), 1);
    }

    #[test]
    fn whole_structs_are_taken_and_lists_are_not() {
        let mut inputs = Inputs::new();
        inputs.extend(HashMap::from([("a", 1)]));
        inputs.insert("a", 2);
        assert_eq!(serde_json::to_string(&inputs).unwrap(), r#"{"a":2}"#);
        inputs.extend([1, 2]);
        assert_eq!(inputs.invalid().unwrap().name, "inputs");
    }
}
