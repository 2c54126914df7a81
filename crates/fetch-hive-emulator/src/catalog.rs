//! What needs no workspace: models, countries of search services, error codes in two languages.

use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

use crate::call::Call;
use crate::reply::{Reply, json_reply, refusal};

const MODELS: &str = include_str!("../data/models.json");
const COUNTRIES: &str = include_str!("../data/countries.json");
const ERROR_CODES: &str = include_str!("../data/error_codes.json");

/// The search services: name, what people call it, and whether a country goes by its name there, or by its code. [ours: which do which]
const SERVICES: [(&str, &str, bool); 5] = [
    ("google_search", "Google Search", true),
    ("google_news", "Google News", true),
    ("google_ai_mode", "Google AI Mode", true),
    ("google_ai_overview", "Google AI Overview", true),
    ("bing_search", "Bing Search", false),
];

#[derive(Debug)]
pub(crate) struct Catalog {
    /// The models that a file declares: no others are taken then.
    declared: RwLock<Vec<Value>>,
    error_codes: Vec<Value>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { declared: RwLock::default(), error_codes: read(ERROR_CODES) }
    }
}

fn read(list: &str) -> Vec<Value> {
    serde_json::from_str(list).unwrap_or_default()
}

impl Catalog {
    pub(crate) fn declare_models(&self, models: Vec<Value>) {
        *self.declared.write().unwrap_or_else(PoisonError::into_inner) = models;
    }

    fn models(&self) -> (bool, Vec<Value>) {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner).clone();
        if declared.is_empty() { (false, read(MODELS)) } else { (true, declared.iter().map(whole_model).collect()) }
    }

    /// Why a model is refused, if it is. Offline, a model that only the real service has is no mistake: without a list of its own the
    /// emulator takes any, but two names that stand for a refusal.
    pub(crate) fn refuse_model(&self, model: &str) -> Option<Box<Reply>> {
        let (strict, models) = self.models();
        let known = models.iter().any(|one| ["id", "slug", "name"].iter().any(|member| one[*member] == model));
        match model {
            "deprecated-model" => {
                Some(Box::new(refusal(422, "model_deprecated", "The model is retired. Choose a current one.")))
            }
            "unknown-model" => Some(Box::new(refusal(422, "", "There is no such model."))),
            _ if strict && !known => Some(Box::new(refusal(422, "", "There is no such model."))),
            _ => None,
        }
    }

    /// The status that an error code comes with.
    pub(crate) fn status_of(&self, code: &str) -> Option<u16> {
        let entry = self.error_codes.iter().find(|entry| entry["code"] == code)?;
        entry["status"].as_u64().and_then(|status| u16::try_from(status).ok())
    }

    pub(crate) fn list_models(&self) -> Reply {
        json_reply(200, &self.models().1.into())
    }

    pub(crate) fn list_error_codes(&self, call: &Call<'_>) -> Reply {
        let locale = if call.query("locale").is_some_and(|locale| locale.starts_with("es")) { "es" } else { "en" };
        let entry = |entry: &Value| {
            let code = entry["code"].as_str().unwrap_or_default();
            json!({
                "code": code,
                "status": entry["status"],
                "field": "error_code",
                "field_aliases": ["code"],
                "message_key": format!("api.errors.{code}"),
                "message": entry[locale][0],
                "category": entry["category"],
                "client_action_key": entry["client_action_key"],
                "client_action": entry[locale][1],
            })
        };
        let codes: Vec<_> = self.error_codes.iter().map(entry).collect();
        json_reply(
            200,
            &json!({"locale": locale, "default_field": "error_code", "compatibility_aliases": ["code"], "codes": codes}),
        )
    }
}

/// A declared model with what its declaration leaves out.
fn whole_model(declared: &Value) -> Value {
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

pub(crate) fn countries() -> Reply {
    json_reply(200, &json!({"services": SERVICES.iter().map(of_service).collect::<Vec<_>>()}))
}

pub(crate) fn countries_of(call: &Call<'_>) -> Reply {
    if let Some(service) = SERVICES.iter().find(|service| service.0 == call.id("service")) {
        return json_reply(200, &of_service(service));
    }
    let supported: Vec<_> = SERVICES.iter().map(|service| service.0).collect();
    json_reply(404, &json!({"error": "Unsupported search service.", "supported_services": supported}))
}

fn of_service((service, name, by_name): &(&str, &str, bool)) -> Value {
    let field = if *by_name { "country_name" } else { "alpha2" };
    let mut countries = read(COUNTRIES);
    for country in &mut countries {
        country["value"] = country[field].clone();
    }
    json!({
        "service": service,
        "name": name,
        "country_value_field": "country",
        "country_value_format": field,
        "countries": countries,
    })
}
