//! The models and error codes that the emulator knows.

use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

const MODELS: &str = include_str!("../../data/models.json");
const ERROR_CODES: &str = include_str!("../../data/error_codes.json");

#[derive(Debug)]
pub(crate) struct Catalog {
    /// The models of the configuration file. If there are any, no other model is accepted.
    declared_models: RwLock<Vec<Value>>,
    pub(crate) error_codes: Vec<Value>,
}

/// The reason why the service rejects a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelError {
    Deprecated,
    Unknown,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { declared_models: RwLock::default(), error_codes: parse_list(ERROR_CODES) }
    }
}

/// Parses a JSON list that is part of this crate.
pub(crate) fn parse_list(list: &str) -> Vec<Value> {
    serde_json::from_str(list).unwrap_or_default()
}

impl Catalog {
    /// Replaces the models of the configuration file.
    pub(crate) fn set_models(&self, models: Vec<Value>) {
        *self.declared_models.write().unwrap_or_else(PoisonError::into_inner) = models;
    }

    fn declared_models(&self) -> Vec<Value> {
        self.declared_models.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the models of the configuration file, or a default list if the file has none.
    pub(crate) fn models(&self) -> Vec<Value> {
        let declared = self.declared_models();
        if declared.is_empty() { parse_list(MODELS) } else { declared.iter().map(with_defaults).collect() }
    }

    /// Checks that a model can be used.
    ///
    /// Without models in the configuration file, every model is accepted except two reserved names,
    /// because the emulator cannot know the models of the real service.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), ModelError> {
        let declared = self.declared_models();
        let matches = |one: &Value| ["id", "slug", "name"].iter().any(|field| one[*field] == model);
        match model {
            "deprecated-model" => Err(ModelError::Deprecated),
            "unknown-model" => Err(ModelError::Unknown),
            _ if declared.is_empty() || declared.iter().map(with_defaults).any(|one| matches(&one)) => Ok(()),
            _ => Err(ModelError::Unknown),
        }
    }

    /// Returns the HTTP status that belongs to an error code.
    pub(crate) fn status_of(&self, code: &str) -> Option<u16> {
        let entry = self.error_codes.iter().find(|entry| entry["code"] == code)?;
        entry["status"].as_u64().and_then(|status| u16::try_from(status).ok())
    }
}

/// Adds default values for the fields that a declared model does not set.
fn with_defaults(declared: &Value) -> Value {
    let text = |name: &str| declared[name].as_str().unwrap_or_default().to_owned();
    let id = if text("id").is_empty() { text("slug") } else { text("id") };
    let mut model = json!({
        "id": id, "name": id, "slug": id.replace('.', "-"), "provider": "emulator", "provider_name": "Emulator",
        "context_limit": 128_000, "model_type": "llm", "is_image_generation": false, "is_vision": true, "is_reasoning": false,
        "is_tool_calling": true, "is_json_schema": true,
    });
    if let (Some(model), Some(declared)) = (model.as_object_mut(), declared.as_object()) {
        model.extend(declared.clone());
    }
    model
}
