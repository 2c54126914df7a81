//! The table of operations, which is read from the OpenAPI document.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::Method;
use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The OpenAPI document of the service, as JSON.
pub const OPENAPI: &str = include_str!("../../contract/openapi.json");

/// An operation of the API.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    method: Method,
    segments: Vec<Segment>,
    /// Whether the operation needs an API key.
    pub(crate) needs_key: bool,
    /// Whether calls count against the daily cap. Only invocations do.
    pub(crate) counts_against_cap: bool,
    /// The validator of the JSON body, if the operation has one.
    pub(crate) body: Option<Validator>,
    /// Whether the body may be omitted.
    pub(crate) body_is_optional: bool,
}

#[derive(Debug)]
enum Segment {
    Fixed(String),
    /// A parameter with this name.
    Parameter(String),
}

/// The target of a request.
pub(crate) enum Route {
    Operation(&'static Operation),
    /// The path exists, but only with these methods.
    WrongMethod(String),
    Unknown,
}

pub(crate) fn route(method: &Method, path: &str) -> Route {
    let mut route = Route::Unknown;
    for operation in table() {
        if operation.matches(path) {
            if operation.method == *method {
                return Route::Operation(operation);
            }
            route = match route {
                Route::WrongMethod(others) => Route::WrongMethod(format!("{others} or {}", operation.method)),
                _ => Route::WrongMethod(operation.method.to_string()),
            };
        }
    }
    route
}

/// Returns whether there is an operation with this id.
pub(crate) fn exists(id: &str) -> bool {
    table().iter().any(|operation| operation.id == id)
}

/// Returns the ids of all operations.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    table().iter().map(|operation| operation.id.as_str())
}

impl Operation {
    /// Compares the path without decoding it, so an encoded slash does not separate segments.
    fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut parts = path.split('/');
        let matches = self.segments.iter().all(|segment| match (segment, parts.next()) {
            (Segment::Fixed(fixed), Some(part)) => fixed == part,
            (Segment::Parameter(_), Some(part)) => !part.is_empty(),
            (_, None) => false,
        });
        matches && parts.next().is_none()
    }

    /// Returns the decoded parameters of a matching path.
    pub(crate) fn parameters(&self, path: &str) -> HashMap<String, String> {
        let parts = path.trim_start_matches('/').split('/');
        let pairs = self.segments.iter().zip(parts).filter_map(|(segment, part)| match segment {
            Segment::Fixed(_) => None,
            Segment::Parameter(name) => Some((name.clone(), percent_decode_str(part).decode_utf8_lossy().into_owned())),
        });
        pairs.collect()
    }
}

/// Returns the operations. Paths without parameters come first, so that they take precedence.
fn table() -> &'static [Operation] {
    static TABLE: OnceLock<Vec<Operation>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let contract: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
        let mut operations: Vec<_> = contract["paths"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |entry| (path, entry)))
            .filter_map(|(path, (method, operation))| parse_operation(&contract, path, method, operation))
            .collect();
        operations
            .sort_by_key(|operation| operation.segments.iter().filter(|s| matches!(s, Segment::Parameter(_))).count());
        operations
    })
}

fn parse_operation(contract: &Value, path: &str, method: &str, operation: &Value) -> Option<Operation> {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => Segment::Parameter(name.to_owned()),
        None => Segment::Fixed(part.to_owned()),
    };
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = schema["$ref"].as_str().and_then(|reference| {
        // The schemas contain references into `components`.
        jsonschema::validator_for(&json!({"$ref": reference, "components": contract["components"]})).ok()
    });
    Some(Operation {
        id: operation["operationId"].as_str()?.to_owned(),
        method: method.to_uppercase().parse().ok()?,
        segments: path.trim_start_matches('/').split('/').map(segment).collect(),
        needs_key: operation["security"].as_array().is_none_or(|security| !security.is_empty()),
        counts_against_cap: operation["responses"].get("429").is_some(),
        body,
        body_is_optional: operation["requestBody"]["required"] != true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_every_operation_and_body() {
        assert_eq!(table().len(), 43);
        let contract: Value = serde_json::from_str(OPENAPI).unwrap();
        let bodies =
            contract["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let json =
            bodies.filter(|operation| operation["requestBody"]["content"].get("application/json").is_some()).count();
        assert!(json > 10);
        assert_eq!(table().iter().filter(|operation| operation.body.is_some()).count(), json);
        assert_eq!(table().iter().filter(|operation| !operation.needs_key).count(), 6);
        assert_eq!(table().iter().filter(|operation| operation.counts_against_cap).count(), 4);
    }

    #[test]
    fn paths_are_matched_without_decoding() {
        let id = |method: Method, path| match route(&method, path) {
            Route::Operation(operation) => operation.id.as_str(),
            Route::WrongMethod(_) => "405",
            Route::Unknown => "404",
        };
        assert_eq!(id(Method::POST, "/workflow/invoke"), "invokeWorkflow");
        assert_eq!(id(Method::GET, "/workflow/invoke"), "405");
        assert_eq!(id(Method::GET, "/public/requests/a%2Fb"), "getRequest");
        assert_eq!(id(Method::GET, "/public/requests/a/b"), "404");
        assert_eq!(id(Method::GET, "/public/requests/"), "404");
        assert_eq!(id(Method::POST, "//workflow/invoke"), "404");
        assert_eq!(id(Method::POST, "workflow/invoke"), "404");
        assert_eq!(id(Method::GET, "/public/search_services/countries"), "listSearchServiceCountries");
        assert_eq!(id(Method::GET, "/public/search_services/bing/countries"), "getSearchServiceCountries");
    }
}
