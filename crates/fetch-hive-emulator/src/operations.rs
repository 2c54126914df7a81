//! The table of operations, read from the contract: what is routed, validated and authenticated.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::Method;
use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The contract for machines.
pub const OPENAPI: &str = include_str!("../contract/openapi.json");

/// One operation of the contract.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    method: Method,
    segments: Vec<Segment>,
    /// Whether it needs an API key.
    pub(crate) key: bool,
    /// Whether it counts against the plan's calls of a day: the invocations do.
    pub(crate) capped: bool,
    /// Checks the JSON body, if the operation takes one.
    pub(crate) body: Option<Validator>,
    /// Whether the body may be left out.
    pub(crate) body_is_optional: bool,
}

#[derive(Debug)]
enum Segment {
    Fixed(String),
    /// The name of a parameter.
    Id(String),
}

/// Where a request goes.
pub(crate) enum Route {
    Operation(&'static Operation),
    /// The path exists, with other methods.
    WrongMethod,
    Unknown,
}

pub(crate) fn route(method: &Method, path: &str) -> Route {
    let mut route = Route::Unknown;
    for operation in table() {
        if operation.matches(path) {
            if operation.method == *method {
                return Route::Operation(operation);
            }
            route = Route::WrongMethod;
        }
    }
    route
}

/// Whether the contract has an operation of this name.
pub(crate) fn exists(id: &str) -> bool {
    table().iter().any(|operation| operation.id == id)
}

impl Operation {
    /// Compares the path as it was sent: a percent-encoded slash does not separate segments.
    fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut sent = path.split('/');
        let fits = self.segments.iter().all(|segment| match (segment, sent.next()) {
            (Segment::Fixed(fixed), Some(part)) => fixed == part,
            (Segment::Id(_), Some(part)) => !part.is_empty(),
            (_, None) => false,
        });
        fits && sent.next().is_none()
    }

    /// The parameters in a path that matches, decoded.
    pub(crate) fn parameters(&self, path: &str) -> HashMap<String, String> {
        let sent = path.trim_start_matches('/').split('/');
        let pairs = self.segments.iter().zip(sent).filter_map(|(segment, part)| match segment {
            Segment::Fixed(_) => None,
            Segment::Id(name) => Some((name.clone(), percent_decode_str(part).decode_utf8_lossy().into_owned())),
        });
        pairs.collect()
    }
}

/// The operations; fixed paths come before those with ids, so that `countries` is not taken for an id.
fn table() -> &'static [Operation] {
    static TABLE: OnceLock<Vec<Operation>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let contract: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
        let mut operations: Vec<_> = contract["paths"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |entry| (path, entry)))
            .filter_map(|(path, (method, operation))| read(&contract, path, method, operation))
            .collect();
        operations.sort_by_key(|operation| operation.segments.iter().filter(|s| matches!(s, Segment::Id(_))).count());
        operations
    })
}

fn read(contract: &Value, path: &str, method: &str, operation: &Value) -> Option<Operation> {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => Segment::Id(name.to_owned()),
        None => Segment::Fixed(part.to_owned()),
    };
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = schema["$ref"].as_str().and_then(|reference| {
        // The schemas refer to each other by their place in the contract.
        jsonschema::validator_for(&json!({"$ref": reference, "components": contract["components"]})).ok()
    });
    Some(Operation {
        id: operation["operationId"].as_str()?.to_owned(),
        method: method.to_uppercase().parse().ok()?,
        segments: path.trim_start_matches('/').split('/').map(segment).collect(),
        key: operation["security"].as_array().is_none_or(|security| !security.is_empty()),
        capped: operation["responses"].get("429").is_some(),
        body,
        body_is_optional: operation["requestBody"]["required"] != true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_body_of_the_contract_is_in_the_table() {
        assert_eq!(table().len(), 43);
        let contract: Value = serde_json::from_str(OPENAPI).unwrap();
        let bodies =
            contract["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let json =
            bodies.filter(|operation| operation["requestBody"]["content"].get("application/json").is_some()).count();
        assert!(json > 10);
        assert_eq!(table().iter().filter(|operation| operation.body.is_some()).count(), json);
        assert_eq!(table().iter().filter(|operation| !operation.key).count(), 6);
        assert_eq!(table().iter().filter(|operation| operation.capped).count(), 4);
    }

    #[test]
    fn paths_are_compared_as_sent() {
        let id = |method: Method, path| match route(&method, path) {
            Route::Operation(operation) => operation.id.as_str(),
            Route::WrongMethod => "405",
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
