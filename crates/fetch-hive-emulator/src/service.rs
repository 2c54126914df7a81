//! One request from its head to its reply.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::admin::{self, ADMIN};
use crate::call::Call;
use crate::callback::Sender;
use crate::catalog::{self, Catalog};
use crate::config::Declared;
use crate::deployment::{Deployment, DeploymentKind};
#[cfg(feature = "page")]
use crate::exchange::Exchange;
use crate::faults::{Cause, Faults, around};
use crate::look::Seen;
use crate::moment;
use crate::operations::{Operation, Route, route};
use crate::record::{Delivery, Log, RecordedRequest, RecordedRun};
use crate::reply::{Broken, Reply, json_reply, refusal};
use crate::resources::{AGENT, APPROVAL, ASSET, CHAT, ITEM, KNOWLEDGE_BASE};
use crate::script::Script;
use crate::store::{RUN, Store};
use crate::wire::Takeover;
use crate::{agents, approvals, assets, chat, delegations, knowledge, trigger, turn, workflow};

/// The kind of the record of how many calls were made: `today`, of the day since 1970.
const CALLS: &str = "calls";

/// The largest body that is taken.
const MAX_BODY: usize = 64 << 20;

/// Is told what happens, line by line.
pub(crate) type Logger = Arc<dyn Fn(&str) + Send + Sync>;

/// What all connections of an emulator share.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch by itself")]
pub(crate) struct Service {
    pub(crate) api_key: Option<String>,
    /// The host of URLs, where a caller names none.
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    /// Counts decisions about approvals, for the runs that wait for them.
    pub(crate) decisions: watch::Sender<u64>,
    /// The workspaces that there are; any, where none is named.
    pub(crate) workspaces: Vec<String>,
    pub(crate) indexing: Duration,
    pub(crate) asset_link_lifetime: Duration,
    pub(crate) deployments: RwLock<HashMap<(DeploymentKind, String), Deployment>>,
    /// The deployments that no file declares.
    pub(crate) built_in: HashMap<(DeploymentKind, String), Deployment>,
    pub(crate) logger: Option<Logger>,
    pub(crate) scripts: HashMap<String, Script>,
    pub(crate) open_streams: AtomicUsize,
    pub(crate) daily_cap: Option<u64>,
    pub(crate) delivery_attempts: u32,
    pub(crate) delivery_backoff: Duration,
    pub(crate) private_callbacks: bool,
    pub(crate) loopback_callbacks: bool,
    /// Told after each try to deliver a callback.
    pub(crate) tried: Notify,
    pub(crate) sender: Sender,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) faults: Faults,
    pub(crate) fault_header: bool,
    /// The faults that a file declares.
    pub(crate) declared_faults: Mutex<Vec<String>>,
    /// Whether the page is served.
    #[cfg(feature = "page")]
    pub(crate) page: bool,
    #[cfg(feature = "page")]
    pub(crate) exchanges: Log<Exchange>,
    pub(crate) requests: Log<RecordedRequest>,
    pub(crate) runs: Log<RecordedRun>,
    pub(crate) deliveries: Log<Delivery>,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) max_in_flight: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    /// Held while a call is counted against the plan.
    pub(crate) counting: Mutex<()>,
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

impl Service {
    pub(crate) async fn handle<B>(
        self: Arc<Self>,
        connection: u64,
        takeover: Takeover,
        request: Request<B>,
    ) -> Result<Reply, Broken>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
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
        let recorded = RecordedRequest {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: parts.headers.clone(),
            body: body.clone(),
            version: parts.version,
            connection,
            operation: operation.map(|operation| operation.id.clone()),
        };
        // The page does not show that it is looked at, and what sets faults meets none.
        if parts.uri.path().starts_with(ADMIN) {
            return Ok(admin::answer(&self, &parts, &body).await);
        }
        let seen = Seen::begin(&self, &recorded);
        self.requests.push(recorded);
        let asked = match self.asked_for(&parts.headers) {
            Ok(asked) => Arc::new(asked),
            Err(reply) => return Ok(*reply),
        };
        let cause = Cause { operation: operation.map_or("", |operation| &operation.id), asked };
        let fault = cause.request_fault(&self.faults);
        let operated = async {
            match routed {
                Route::Unknown => refusal(404, "", &format!("There is no {path} here. The API is below /v1.")),
                Route::WrongMethod => refusal(405, "", "This path takes another method."),
                Route::Operation(operation) => {
                    self.operate(operation, cause, path, parts.uri.query(), &parts.headers, body).await
                }
            }
        };
        let reply = around(fault, &takeover, operated).await?;
        Ok(match seen {
            Some(seen) => seen.reply(reply),
            None => reply,
        })
    }

    /// The faults that a request itself asks for, where that is allowed: one in each of these headers.
    fn asked_for(&self, headers: &HeaderMap) -> Result<Faults, Box<Reply>> {
        let headers = headers.get_all("x-fetch-hive-fault").into_iter().filter(|_| self.fault_header);
        let parsed = headers.map(|words| {
            let words = words.to_str().map_err(|error| error.to_string())?;
            words.parse().map_err(|error: crate::FaultError| error.to_string())
        });
        parsed
            .collect::<Result<_, String>>()
            .map_err(|error| Box::new(refusal(400, "validation_error", &format!("x-fetch-hive-fault: {error}"))))
    }

    async fn operate(
        self: &Arc<Self>,
        operation: &Operation,
        cause: Cause,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        raw: Bytes,
    ) -> Reply {
        if operation.key && !self.authorized(headers) {
            return refusal(401, "", "Invalid access.");
        }
        let body = match checked(operation, &raw) {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        if operation.capped {
            if let Err(capped) = self.count_call() {
                return *capped;
            }
        }
        let call = Call::new(self, cause, operation.parameters(path), query, headers, body, raw);
        let reply = carry_out(operation, &call).await.unwrap_or_else(|refused| *refused);
        // What is acknowledged outlives the process.
        match self.store.settled().await {
            Ok(()) => reply,
            Err(reason) => refusal(500, "internal_server_error", &reason),
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
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let day = moment::today();
        let today = self.store.get(CALLS, "", "today").filter(|counted| counted["day"] == day);
        let made = today.and_then(|counted| counted["calls"].as_u64()).unwrap_or(0);
        if made >= limit {
            return Err(Box::new(json_reply(
                429,
                &json!({
                    "error": "You've reached the daily limit of API calls of your plan.",
                    "error_code": "api_rate_limit_exceeded",
                    "limit": limit,
                    "current": made,
                }),
            )));
        }
        self.store.put(CALLS, "", "today", json!({"day": day, "calls": made + 1}));
        Ok(())
    }

    pub(crate) fn deployment(&self, kind: DeploymentKind, name: &str) -> Deployment {
        let declared = self.deployments.read().unwrap_or_else(PoisonError::into_inner);
        declared.get(&(kind, name.to_owned())).cloned().unwrap_or_else(|| Deployment::undeclared(kind, name))
    }

    /// Takes what a file declares in place of what it declared before.
    pub(crate) fn declare(&self, declared: Declared) {
        let mut deployments = self.built_in.clone();
        for deployment in declared.deployments {
            agents::declare(&self.store, &deployment);
            deployments.insert((deployment.kind, deployment.name.clone()), deployment);
        }
        let mut before = self.declared_faults.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != declared.faults {
            // A file that says otherwise than before ends what it, or someone since, made go wrong.
            if !before.is_empty() {
                self.faults.clear();
            }
            declared.faults.iter().filter_map(|words| words.parse().ok()).for_each(|fault| self.faults.add(fault));
            *before = declared.faults;
        }
        drop(before);
        *self.deployments.write().unwrap_or_else(PoisonError::into_inner) = deployments;
        self.catalog.declare_models(declared.models);
    }

    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if let Some(logger) = &self.logger {
            logger(&line());
        }
    }

    /// The secret of a deployment: the declared one, else one that stays the same as long as the records do.
    pub(crate) fn secret(&self, deployment: &Deployment) -> String {
        match &deployment.webhook_secret {
            Some(secret) => secret.clone(),
            None => self.kept_secret(&format!("{:?}", deployment.kind), &deployment.name),
        }
    }

    /// A secret that is made when it is first asked for.
    pub(crate) fn kept_secret(&self, of: &str, name: &str) -> String {
        let kept = self.store.get_or_put("secret", of, name, || format!("whsec_{}", crate::random_hex()).into());
        kept.as_str().unwrap_or_default().to_owned()
    }

    /// Where a caller that named this host reaches the emulator.
    pub(crate) fn origin(&self, host: Option<&str>) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = host.map_or_else(|| self.address.to_string(), str::to_owned);
        format!("{scheme}://{host}")
    }

    /// Counts a run as under way until the guard is dropped.
    pub(crate) fn running(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Running {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_in_flight.fetch_max(now, Ordering::SeqCst);
        Running { service: Arc::clone(self), _place: place }
    }

    /// Notes where a workflow run stands.
    pub(crate) fn stands(&self, request_id: &str, status: &str) {
        self.runs.update_newest(|run| {
            let found = run.request_id == request_id;
            if found {
                status.clone_into(&mut run.run_status);
            }
            found
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

/// Carries an operation out; a refusal is an error only so that `?` can pass it on.
async fn carry_out(operation: &Operation, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let workspaces = &call.service.workspaces;
    let unknown = |workspace: &String| !workspaces.is_empty() && !workspaces.contains(workspace);
    if call.path.get("workspace_id").is_some_and(unknown) {
        return Err(Box::new(agents::no_workspace()));
    }
    match operation.id.as_str() {
        "invokePrompt" => chat::invoke_prompt(call).await,
        "invokeWorkflow" => workflow::invoke(call).await,
        "invokeAgent" => turn::invoke(call).await,
        "invokeHiveAgent" => trigger::hive_agent(call).await,
        "triggerWorkflow" => trigger::deployment(call, DeploymentKind::Workflow).await,
        "triggerPrompt" => trigger::deployment(call, DeploymentKind::Prompt).await,
        "triggerAgent" => trigger::agent(call).await,
        "getRequest" => runs(call),
        "getAgentDelegation" => delegations::read(call),
        "cancelAgentDelegation" => delegations::cancel(call),
        "listThreadDelegations" => Ok(delegations::of_thread(call)),
        "listAgents" => AGENT.list(call),
        "createAgent" => AGENT.create(call),
        "getAgent" => AGENT.read(call),
        "updateAgent" => AGENT.change(call),
        "deleteAgent" => AGENT.delete(call),
        "createAgentChat" => CHAT.create(call),
        "getAgentChat" => CHAT.read(call),
        "updateAgentChat" => CHAT.change(call),
        "deleteAgentChat" => CHAT.delete(call),
        "clearAgentChatMessages" => agents::clear(call),
        "listAgentChatMessages" => agents::messages(call),
        "listKnowledgeBases" => KNOWLEDGE_BASE.list(call),
        "createKnowledgeBase" => KNOWLEDGE_BASE.create(call),
        "getKnowledgeBase" => KNOWLEDGE_BASE.read(call),
        "updateKnowledgeBase" => KNOWLEDGE_BASE.change(call),
        "deleteKnowledgeBase" => KNOWLEDGE_BASE.delete(call),
        "searchKnowledgeBase" => knowledge::search(call),
        "listKnowledgeBaseItems" => ITEM.list(call),
        "createKnowledgeBaseItem" => ITEM.create(call),
        "getKnowledgeBaseItem" => ITEM.read(call),
        "updateKnowledgeBaseItem" => ITEM.change(call),
        "deleteKnowledgeBaseItem" => ITEM.delete(call),
        "regenerateKnowledgeBaseItem" => knowledge::regenerate(call),
        "listAssets" => ASSET.list(call),
        "uploadAsset" => Ok(assets::upload(call).await),
        "listToolActionApprovals" => Ok(approvals::list(call)),
        "getToolActionApproval" => APPROVAL.read(call),
        "decideToolActionApproval" => approvals::decide(call),
        "listModels" => Ok(call.service.catalog.list_models()),
        "listSearchServiceCountries" => Ok(catalog::countries()),
        "getSearchServiceCountries" => Ok(catalog::countries_of(call)),
        "listErrorCodes" => Ok(call.service.catalog.list_error_codes(call)),
        id => Err(Box::new(refusal(501, "", &format!("The emulator does not carry out {id}.")))),
    }
}

fn runs(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let run = call.service.store.get(RUN, "", call.id("id"));
    run.map(|run| json_reply(200, &run)).ok_or_else(|| Box::new(refusal(404, "", "Request not found.")))
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
    let lacks = |member: &str| value[member].is_null() || value[member] == "";
    match operation.id.as_str() {
        "invokeWorkflow" | "invokePrompt" if lacks("deployment") => {
            return refused("Missing required field: deployment or variant");
        }
        "invokeAgent" if lacks("agent") => return refused("Missing required field: agent"),
        "invokeHiveAgent" if lacks("hive_agent") => return refused("Missing required field: hive_agent"),
        _ => {}
    }
    // So it does with a decision, which is refused with another status.
    if operation.id == "decideToolActionApproval" && value["decision"].is_string() {
        return Ok(value);
    }
    let approval = &value["tool_approval"];
    if !approval.is_null() && *approval != "policy" && *approval != "auto_approve" {
        return Err(Box::new(refusal(400, "invalid_tool_approval", "tool_approval must be policy or auto_approve.")));
    }
    let first = validator.iter_errors(&value).next().map(|error| format!("{error} (at {})", error.instance_path()));
    first.map_or(Ok(value), |error| refused(&error))
}
