//! A caller that validates every response against the contract.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use fetch_hive_emulator::{Emulator, OPENAPI};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// An HTTP client for one emulator.
pub(crate) struct Caller {
    base: String,
    contract: Value,
    client: Client<HttpConnector, Full<Bytes>>,
    /// The ids of the operations that were called.
    pub(crate) called: Mutex<BTreeSet<String>>,
}

impl Caller {
    pub(crate) fn new(emulator: &Emulator) -> Self {
        Self {
            base: emulator.base_url(),
            contract: serde_json::from_str(OPENAPI).unwrap(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            called: Mutex::default(),
        }
    }

    /// Returns the operation of a path.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let matches = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            let same = |(of, part): (&&str, &&str)| of == part || of.starts_with('{');
            template.len() == parts.len() && template.iter().zip(&parts).all(same)
        };
        let mut found: Vec<_> =
            self.contract["paths"].as_object().unwrap().iter().filter(|(template, _)| matches(template)).collect();
        found.sort_by_key(|(template, _)| template.matches('{').count());
        found.iter().find_map(|(_, item)| item.get(method.as_str().to_lowercase()))
    }

    /// Calls an operation and returns the status and the JSON body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let (status, _, bytes) = self.send(method, path, "application/json", bytes).await;
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Sends a body, validates the response, and returns the status, the content type and the body.
    pub(crate) async fn send(&self, method: &str, path: &str, content_type: &str, body: Bytes) -> (u16, String, Bytes) {
        let method: Method = method.parse().unwrap();
        let operation = self.operation(&method, path).unwrap_or_else(|| panic!("{method} {path}")).clone();
        let mut request = Request::builder().method(&method).uri(format!("{}{path}", self.base));
        request = request.header("authorization", "Bearer fhk_test").header("content-type", content_type);
        let response = self.client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let content_type = header("content-type");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let id = operation["operationId"].as_str().unwrap();
        self.called.lock().unwrap().insert(id.to_owned());
        let declared =
            operation["responses"].get(status.to_string()).unwrap_or_else(|| &operation["responses"]["default"]);
        let schema = &declared["content"]["application/json"]["schema"];
        if content_type.starts_with("application/json") && !schema.is_null() {
            let mut whole = json!({"components": self.contract["components"]});
            whole.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
            let value: Value = serde_json::from_slice(&body).unwrap();
            let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
            let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{id} {status}: {errors:?} in {value}");
        }
        (status, content_type, body)
    }

    /// Downloads a file.
    pub(crate) async fn download(&self, url: &str) -> (u16, Bytes) {
        let response = self.client.get(url.parse().unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    }
}
