//! Every operation, built and answered for real, against the contract.

use bytes::Bytes;
#[allow(clippy::wildcard_imports, reason = "every request of the contract stands here")]
use fetch_hive_core::types::*;
use fetch_hive_core::{Api, BaseUrl, Endpoint, WEBHOOK_SECRET_HEADER, parse_response};
use http::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::compare;
use super::sample::{Samples, Style};
use super::schemas::ALIASES;

/// An operation of ours: what it builds, and what it makes of a reply.
struct Ours {
    name: &'static str,
    method: String,
    path: &'static str,
    envelope: Option<&'static str>,
    request: Request<Bytes>,
    read: fn(&Value) -> Result<Value, String>,
}

fn ours<E>(endpoint: &E) -> Result<Ours, String>
where
    E: Endpoint,
    E::Response: Serialize,
{
    let base = BaseUrl::new("https://h/v1").map_err(|error| error.to_string())?;
    let key = ApiKey::new("fhk_x").map_err(|error| error.to_string())?;
    let request = Api::new(base).request(endpoint, Some(&key)).map_err(|error| format!("{}: {error}", E::NAME))?;
    Ok(Ours {
        name: E::NAME,
        method: E::METHOD.to_string(),
        path: E::PATH,
        envelope: E::ENVELOPE,
        request,
        read: |value| {
            let response = Response::new(Bytes::from(value.to_string()));
            let read = parse_response::<E>(response).map_err(|error| error.to_string())?;
            serde_json::to_value(&*read).map_err(|error| error.to_string())
        },
    })
}

/// The operations of the contract: name, method, path, and what it says of each.
pub(crate) fn declared(contract: &Value) -> Vec<(String, String, String, &Value)> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| {
            let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
            (name, method.to_uppercase(), path.clone(), operation)
        })
    });
    operations.collect()
}

/// A request body made from the contract's own sample of its schema.
fn filled<T: DeserializeOwned>(samples: &Samples<'_>, schema: &str) -> Result<T, String> {
    let mut value = samples.of_schema(schema, Style::Filled).swap_remove(0);
    // Declared, and refused to callers with an API key.
    if let Some(object) = value.as_object_mut() {
        object.remove("decided_tool_approvals");
        object.remove("streaming");
    }
    serde_json::from_value(value).map_err(|error| format!("{schema}: {error}"))
}

fn all(samples: &Samples<'_>) -> Vec<Result<Ours, String>> {
    macro_rules! from {
        ($schema:literal) => {
            match filled(samples, $schema) {
                Ok(value) => value,
                Err(error) => return vec![Err(error)],
            }
        };
    }
    let invoke_workflow: InvokeWorkflow = from!("InvokeWorkflowRequest");
    let invoke_prompt: InvokePrompt = from!("InvokePromptRequest");
    let invoke_agent: InvokeAgent = from!("InvokeAgentRequest");
    let invoke_hive_agent: InvokeHiveAgent = from!("InvokeHiveAgentRequest");
    let agent: AgentCreate = from!("AgentCreate");
    let agent_update: AgentUpdate = from!("AgentUpdate");
    let chat: AgentChatCreate = from!("AgentChatCreate");
    let chat_update: AgentChatUpdate = from!("AgentChatUpdate");
    let base: KnowledgeBaseCreate = from!("KnowledgeBaseCreate");
    let base_update: KnowledgeBaseUpdate = from!("KnowledgeBaseUpdate");
    let search: KnowledgeBaseSearch = from!("SearchKnowledgeBaseRequest");
    let item: KnowledgeBaseItemCreate = from!("KnowledgeBaseItemCreate");
    let item_update: KnowledgeBaseItemUpdate = from!("KnowledgeBaseItemUpdate");
    let deployment: TriggerDeploymentRequest = from!("TriggerDeploymentRequest");
    let message: TriggerAgentRequest = from!("TriggerAgentRequest");
    let filter =
        ApprovalFilter::new().status("pending").agent_id("a").run_id("r").request_id("q").cursor("c").limit(10);
    let mut trigger_workflow = TriggerWorkflow::new("e", "v", "whsec_x", "");
    trigger_workflow.body = deployment.clone();
    let mut trigger_prompt = TriggerPrompt::new("e", "v", "whsec_x", "");
    trigger_prompt.body = deployment;
    let mut trigger_agent = TriggerAgent::new("a", "whsec_x", "", "");
    trigger_agent.body = message;
    vec![
        ours(&invoke_workflow),
        ours(&invoke_prompt),
        ours(&invoke_agent),
        ours(&invoke_hive_agent),
        ours(&GetAgentDelegation::new("d")),
        ours(&CancelAgentDelegation::new("d")),
        ours(&ListThreadDelegations::new("t")),
        ours(&GetRequest::new("req_1")),
        ours(&ListModels::new()),
        ours(&ListSearchServiceCountries::new()),
        ours(&GetSearchServiceCountries::new("bing_search")),
        ours(&ListErrorCodes::new("es".to_owned())),
        ours(&ListAgents::new("w")),
        ours(&GetAgent::new("w", "a")),
        ours(&CreateAgent::new("w", agent)),
        ours(&UpdateAgent::new("w", "a", agent_update)),
        ours(&DeleteAgent::new("w", "a")),
        ours(&CreateAgentChat::new("w", "a", chat)),
        ours(&GetAgentChat::new("w", "a", "c")),
        ours(&UpdateAgentChat::new("w", "a", "c", chat_update)),
        ours(&DeleteAgentChat::new("w", "a", "c")),
        ours(&ClearAgentChatMessages::new("w", "a", "c")),
        ours(&ListAgentChatMessages::new("w", "a", "c")),
        ours(&ListKnowledgeBases::new("w")),
        ours(&GetKnowledgeBase::new("w", "k")),
        ours(&CreateKnowledgeBase::new("w", base)),
        ours(&UpdateKnowledgeBase::new("w", "k", base_update)),
        ours(&DeleteKnowledgeBase::new("w", "k")),
        ours(&SearchKnowledgeBase::new("w", "k", search)),
        ours(&ListKnowledgeBaseItems::new("w", "k")),
        ours(&GetKnowledgeBaseItem::new("w", "k", "i")),
        ours(&CreateKnowledgeBaseItem::new("w", "k", item)),
        ours(&UpdateKnowledgeBaseItem::new("w", "k", "i", item_update)),
        ours(&DeleteKnowledgeBaseItem::new("w", "k", "i")),
        ours(&RegenerateKnowledgeBaseItem::new("w", "k", "i")),
        ours(&ListAssets::new("w")),
        ours(&UploadAsset::new("w", AssetFile::new("a.png", "image/png", *b"content"))),
        ours(&ListToolActionApprovals::new("w", filter)),
        ours(&GetToolActionApproval::new("w", "a")),
        ours(&DecideToolActionApproval::new("w", "a", ApprovalDecision::AllowOnce)),
        ours(&trigger_workflow),
        ours(&trigger_prompt),
        ours(&trigger_agent),
    ]
}

/// Gives how many operations hold.
pub(crate) fn check(contract: &Value, samples: &Samples<'_>, failures: &mut Vec<String>) -> usize {
    let mut mine = Vec::new();
    for operation in all(samples) {
        match operation {
            Ok(operation) => mine.push(operation),
            Err(error) => failures.push(error),
        }
    }
    let declared = declared(contract);
    for operation in &mine {
        if !declared.iter().any(|row| row.0 == operation.name) {
            failures.push(format!("{}: no operation of the contract", operation.name));
        }
    }
    let mut held = 0;
    for (name, method, path, says) in &declared {
        let Some(operation) = mine.iter().find(|operation| operation.name == name) else {
            failures.push(format!("{name}: no endpoint"));
            continue;
        };
        let mut differences = Vec::new();
        if (&operation.method, operation.path) != (method, path.as_str()) {
            differences.push(format!("is {} {}, not {method} {path}", operation.method, operation.path));
        }
        differences.extend(authentication(operation, says));
        differences.extend(query(operation, says));
        differences.extend(body(contract, samples, operation, says).err());
        differences.extend(replies(samples, operation, says).err());
        held += usize::from(differences.is_empty());
        failures.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    held
}

fn parameters<'a>(says: &'a Value, place: &'a str) -> impl Iterator<Item = &'a str> {
    let parameters = says["parameters"].as_array().into_iter().flatten();
    parameters.filter(move |parameter| parameter["in"] == place).filter_map(|parameter| parameter["name"].as_str())
}

fn authentication(operation: &Ours, says: &Value) -> Option<String> {
    let headers = operation.request.headers();
    let key = says["security"].as_array().is_none_or(|security| !security.is_empty());
    let secret = parameters(says, "header").any(|name| name.eq_ignore_ascii_case(WEBHOOK_SECRET_HEADER));
    let sent = (headers.contains_key("authorization"), headers.contains_key(WEBHOOK_SECRET_HEADER));
    (sent != (key, secret)).then(|| format!("sends (key, secret) {sent:?}, not {:?}", (key, secret)))
}

fn query(operation: &Ours, says: &Value) -> Option<String> {
    // The secret has a header, which does not end up in logs.
    let mut want: Vec<_> = parameters(says, "query").filter(|name| *name != "secret").collect();
    let query = operation.request.uri().query().unwrap_or_default();
    let mut sent: Vec<_> = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    want.sort_unstable();
    sent.sort_unstable();
    (want != sent).then(|| format!("has the query {sent:?}, not {want:?}"))
}

fn body(contract: &Value, samples: &Samples<'_>, operation: &Ours, says: &Value) -> Result<(), String> {
    let content = &says["requestBody"]["content"];
    let sent = operation.request.body();
    let content_type = operation.request.headers().get("content-type").and_then(|value| value.to_str().ok());
    if content.get("multipart/form-data").is_some() {
        let text = String::from_utf8_lossy(sent);
        let form = content_type.is_some_and(|value| value.starts_with("multipart/form-data; boundary="));
        let part = text.contains("name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\ncontent\r\n--");
        return if form && part { Ok(()) } else { Err(format!("sends no form with a file: {text}")) };
    }
    let Some(schema) = content["application/json"].get("schema") else {
        return if matches!(&sent[..], b"" | b"{}") {
            Ok(())
        } else {
            Err("sends a body that is not declared".to_owned())
        };
    };
    let sent: Value = serde_json::from_slice(sent).map_err(|error| format!("sends no JSON: {error}"))?;
    let validator = jsonschema::validator_for(&json!({"$ref": schema["$ref"], "components": contract["components"]}))
        .map_err(|error| error.to_string())?;
    if let Some(error) = validator.iter_errors(&sent).next() {
        return Err(format!("sends a body that does not fit: {error}"));
    }
    let mut want = samples.of(schema, Style::Filled).swap_remove(0);
    if let Some(object) = want.as_object_mut() {
        object.remove("decided_tool_approvals");
        if object.contains_key("streaming") {
            object.insert("streaming".to_owned(), false.into());
        }
    }
    compare(&want, &sent)
}

/// Every declared reply is read, in every style; what the endpoint unwraps is compared without its envelope.
fn replies(samples: &Samples<'_>, operation: &Ours, says: &Value) -> Result<(), String> {
    for (status, response) in says["responses"].as_object().into_iter().flatten() {
        let Some(schema) = response["content"]["application/json"].get("schema").filter(|_| status.starts_with('2'))
        else {
            continue;
        };
        for style in Style::ALL {
            for sample in samples.of(schema, style) {
                let got = (operation.read)(&sample).map_err(|error| format!("{status} ({style:?}): {error}"))?;
                let want = operation.envelope.and_then(|key| sample.get(key)).unwrap_or(&sample);
                let aliased = ALIASES.iter().fold(want.clone(), |mut want, (_, alias, documented)| {
                    if let Some(object) = want.as_object_mut().filter(|object| !object.contains_key(*documented)) {
                        if got.get(documented).is_some() {
                            object.remove(*alias).map(|value| object.insert((*documented).to_owned(), value));
                        }
                    }
                    want
                });
                compare(&aliased, &got).map_err(|why| format!("{status} ({style:?}): {why}"))?;
            }
        }
    }
    Ok(())
}
