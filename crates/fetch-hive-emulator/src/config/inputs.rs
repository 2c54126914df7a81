//! Declared inputs of a deployment, and their validation.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The declaration of an input.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[serde(default, rename = "type")]
    kind: InputType,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    default: Option<Value>,
    #[serde(default)]
    options: Vec<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InputType {
    #[default]
    Any,
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

/// The error response to invalid inputs.
#[derive(Clone, Debug)]
pub(crate) struct InputError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl InputError {
    pub(crate) fn new(status: u16, code: &'static str, message: String) -> Self {
        Self { status, code, message }
    }
}

/// Validates inputs against their declarations, and adds default values.
pub(crate) fn validate(
    declarations: &BTreeMap<String, Input>,
    mut inputs: Map<String, Value>,
) -> Result<Map<String, Value>, InputError> {
    for (name, declared) in declarations {
        match inputs.get(name).filter(|value| !value.is_null()) {
            Some(value) => declared.check(name, value)?,
            None => match &declared.default {
                Some(default) => {
                    inputs.insert(name.clone(), default.clone());
                }
                None if declared.required => {
                    let message = format!("Missing required field: inputs.{name}");
                    return Err(InputError::new(422, "missing_required_field", message));
                }
                None => {}
            },
        }
    }
    Ok(inputs)
}

impl Input {
    fn check(&self, name: &str, value: &Value) -> Result<(), InputError> {
        let (is_valid, expected) = match self.kind {
            InputType::Any => (true, ""),
            InputType::String => (value.is_string(), "a string"),
            InputType::Number => (value.is_number(), "a number"),
            InputType::Integer => (value.is_i64() || value.is_u64(), "an integer"),
            InputType::Boolean => (value.is_boolean(), "a boolean"),
            InputType::Array => (value.is_array(), "an array, not a string that contains one"),
            InputType::Object => (value.is_object(), "an object"),
        };
        if !is_valid {
            return Err(InputError::new(400, "validation_error", format!("inputs.{name} must be {expected}.")));
        }
        if !self.options.is_empty() && !self.options.contains(value) {
            let message = format!("inputs.{name} must be one of {}.", json!(self.options));
            return Err(InputError::new(400, "validation_error", message));
        }
        Ok(())
    }
}
