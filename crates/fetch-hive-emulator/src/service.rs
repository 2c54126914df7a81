//! One request from its head to its reply.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::callback::Sender;
use crate::chat;
use crate::deployment::Deployment;
use crate::fault::{Action, Faults};
use crate::operations::{Operation, Route, route};
use crate::record::{Delivery, Log, RecordedRequest, RecordedRun};
use crate::reply::{Broken, Reply, json_reply, raw, refusal};
use crate::script::Script;
use crate::workflow;

/// The largest body that is taken.
const MAX_BODY: usize = 64 << 20;

/// What all connections of an emulator share.
pub(crate) struct Service {
    pub(crate) api_key: Option<String>,
    pub(crate) deployments: HashMap<String, Deployment>,
    pub(crate) scripts: HashMap<String, Script>,
    pub(crate) open_streams: AtomicUsize,
    pub(crate) daily_cap: Option<u64>,
    pub(crate) delivery_attempts: u32,
    pub(crate) delivery_backoff: Duration,
    pub(crate) private_callbacks: bool,
    pub(crate) sender: Sender,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) faults: Faults,
    pub(crate) requests: Log<RecordedRequest>,
    pub(crate) runs: Log<RecordedRun>,
    pub(crate) deliveries: Log<Delivery>,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) max_in_flight: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) secrets: Mutex<HashMap<String, String>>,
    /// The day since 1970, and the calls made on it.
    pub(crate) today: Mutex<(u64, u64)>,
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

impl Service {
    pub(crate) async fn handle(self: Arc<Self>, connection: u64, request: Request<Incoming>) -> Result<Reply, Broken> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().strip_prefix("/v1").unwrap_or("");
        let routed = route(&parts.method, path);
        let operation = match &routed {
            Route::Operation(operation) => Some(*operation),
            _ => None,
        };
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes) else {
            return Ok(refusal(413, "validation_error", "The body is too large, or it broke off."));
        };
        self.requests.push(RecordedRequest {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: parts.headers.clone(),
            body: body.clone(),
            version: parts.version,
            connection,
            operation: operation.map(|operation| operation.id.clone()),
        });
        match self.faults.next(operation.map_or("", |operation| &operation.id)) {
            Some(Action::Reply { status, headers, body, cut }) => return Ok(raw(status, &headers, body, cut)),
            Some(Action::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Close) => return Err(Broken),
            None => {}
        }
        Ok(match routed {
            Route::Unknown => refusal(404, "", &format!("There is no {path} here. The API is below /v1.")),
            Route::WrongMethod => refusal(405, "", "This path takes another method."),
            Route::Operation(operation) => self.operate(operation, &parts.headers, &body).await,
        })
    }

    async fn operate(self: &Arc<Self>, operation: &Operation, headers: &HeaderMap, body: &Bytes) -> Reply {
        if operation.key && !self.authorized(headers) {
            return refusal(401, "", "Invalid access.");
        }
        let body = match checked(operation, body) {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        if operation.capped {
            if let Err(capped) = self.count_call() {
                return *capped;
            }
        }
        match operation.id.as_str() {
            "invokeWorkflow" => workflow::invoke(self, body).await,
            "invokePrompt" => chat::invoke_prompt(self, &body),
            "invokeAgent" => chat::invoke_agent(self, &body),
            id => refusal(501, "", &format!("The emulator does not carry out {id} yet.")),
        }
    }

    /// Any bearer key will do, unless one was set; two names stand for keys that the service would refuse.
    fn authorized(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim) else { return false };
        match &self.api_key {
            Some(only) => key == only,
            None => !key.is_empty() && !matches!(key, "fhk_invalid" | "fhk_revoked"),
        }
    }

    fn count_call(&self) -> Result<(), Box<Reply>> {
        let Some(limit) = self.daily_cap else { return Ok(()) };
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let day = since_1970.as_secs() / 86_400;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != day {
            *today = (day, 0);
        }
        if today.1 >= limit {
            return Err(Box::new(json_reply(
                429,
                &json!({
                    "error": "You've reached the daily limit of API calls of your plan.",
                    "error_code": "api_rate_limit_exceeded",
                    "limit": limit,
                    "current": today.1,
                }),
            )));
        }
        today.1 += 1;
        Ok(())
    }

    pub(crate) fn deployment(&self, name: &str) -> Deployment {
        self.deployments.get(name).cloned().unwrap_or_else(|| Deployment::workflow(name))
    }

    /// The secret of a deployment: the declared one, else one that stays the same as long as the emulator runs.
    pub(crate) fn secret(&self, deployment: &Deployment) -> String {
        if let Some(secret) = &deployment.webhook_secret {
            return secret.clone();
        }
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.entry(deployment.name.clone()).or_insert_with(|| format!("whsec_{}", crate::random_hex())).clone()
    }

    /// Counts a run as under way until the guard is dropped.
    pub(crate) fn running(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Running {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_in_flight.fetch_max(now, Ordering::SeqCst);
        Running { service: Arc::clone(self), _place: place }
    }

    pub(crate) fn ended(&self, request_id: &str, outcome: &Value) {
        let status = outcome["run_status"].as_str().unwrap_or_default();
        self.runs.update(|run| {
            if run.request_id == request_id {
                status.clone_into(&mut run.run_status);
            }
        });
    }

    /// Starts work that ends with the emulator.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

pub(crate) struct Running {
    service: Arc<Service>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.service.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The JSON body, if it fits the contract.
fn checked(operation: &Operation, body: &Bytes) -> Result<Value, Box<Reply>> {
    let Some(validator) = &operation.body else { return Ok(Value::Null) };
    if body.is_empty() && operation.body_is_optional {
        return Ok(Value::Null);
    }
    let refused = |error: &str| Err(Box::new(refusal(400, "validation_error", error)));
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return refused("The body is not JSON.") };
    // The service names what is missing from an invoke in its own words.
    if operation.id == "invokeWorkflow" && (value["deployment"].is_null() || value["deployment"] == "") {
        return refused("Missing required field: deployment or variant");
    }
    let approval = &value["tool_approval"];
    if !approval.is_null() && *approval != "policy" && *approval != "auto_approve" {
        return Err(Box::new(refusal(400, "invalid_tool_approval", "tool_approval must be policy or auto_approve.")));
    }
    let first = validator.iter_errors(&value).next().map(|error| format!("{error} (at {})", error.instance_path()));
    first.map_or(Ok(value), |error| refused(&error))
}
