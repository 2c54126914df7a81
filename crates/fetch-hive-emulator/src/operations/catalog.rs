//! Models, error codes and the countries of search services.

use serde_json::{Value, json};

use crate::http::response::{Response, json_response};
use crate::operations::request::OperationRequest;
use crate::state::catalog::parse_list;

const COUNTRIES: &str = include_str!("../../data/countries.json");

/// A search service of the catalog.
struct SearchService {
    id: &'static str,
    name: &'static str,
    /// Whether a country is passed by name instead of by code, which is *unconfirmed*.
    by_name: bool,
}

const SEARCH_SERVICES: [SearchService; 5] = [
    SearchService { id: "google_search", name: "Google Search", by_name: true },
    SearchService { id: "google_news", name: "Google News", by_name: true },
    SearchService { id: "google_ai_mode", name: "Google AI Mode", by_name: true },
    SearchService { id: "google_ai_overview", name: "Google AI Overview", by_name: true },
    SearchService { id: "bing_search", name: "Bing Search", by_name: false },
];

pub(crate) fn list_models(request: &OperationRequest<'_>) -> Response {
    json_response(200, &request.state.catalog.models().into())
}

pub(crate) fn list_error_codes(request: &OperationRequest<'_>) -> Response {
    let locale = if request.query("locale").is_some_and(|locale| locale.starts_with("es")) { "es" } else { "en" };
    let to_json = |entry: &Value| {
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
    let codes: Vec<_> = request.state.catalog.error_codes.iter().map(to_json).collect();
    json_response(
        200,
        &json!({"locale": locale, "default_field": "error_code", "compatibility_aliases": ["code"], "codes": codes}),
    )
}

pub(crate) fn list_countries() -> Response {
    json_response(200, &json!({"services": SEARCH_SERVICES.iter().map(service_json).collect::<Vec<_>>()}))
}

pub(crate) fn get_countries(request: &OperationRequest<'_>) -> Response {
    if let Some(service) = SEARCH_SERVICES.iter().find(|service| service.id == request.id("service")) {
        return json_response(200, &service_json(service));
    }
    let supported: Vec<_> = SEARCH_SERVICES.iter().map(|service| service.id).collect();
    json_response(404, &json!({"error": "Unsupported search service.", "supported_services": supported}))
}

fn service_json(service: &SearchService) -> Value {
    let field = if service.by_name { "country_name" } else { "alpha2" };
    let mut countries = parse_list(COUNTRIES);
    for country in &mut countries {
        country["value"] = country[field].clone();
    }
    json!({
        "service": service.id,
        "name": service.name,
        "country_value_field": "country",
        "country_value_format": field,
        "countries": countries,
    })
}
