//! Comparison of every operation's request and response with the contract.

use bytes::Bytes;
#[allow(clippy::wildcard_imports, reason = "the list uses every request")]
use fetch_hive_core::types::*;
use fetch_hive_core::{Api, BaseUrl, BodyPiece, Endpoint, RequestBody, WEBHOOK_SECRET_HEADER, parse_response};
use http::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::compare;
use super::sample::{Samples, Style};
use super::schemas::ALIASES;

/// An endpoint with a built request and a function that parses responses.
struct Operation {
    name: &'static str,
    method: String,
    path: &'static str,
    envelope: Option<&'static str>,
    request: Request<RequestBody>,
    parse: fn(&Value) -> Result<Value, String>,
}

fn operation<E>(endpoint: &E) -> Result<Operation, String>
where
    E: Endpoint,
    E::Response: Serialize,
{
    let base = BaseUrl::new("https://h/v1").map_err(|error| error.to_string())?;
    let key = ApiKey::new("fhk_x").map_err(|error| error.to_string())?;
    let request = Api::new(base).request(endpoint, Some(&key)).map_err(|error| format!("{}: {error}", E::NAME))?;
    Ok(Operation {
        name: E::NAME,
        method: E::METHOD.to_string(),
        path: E::PATH,
        envelope: E::ENVELOPE,
        request,
        parse: |value| {
            let response = Response::new(Bytes::from(value.to_string()));
            let parsed = parse_response::<E>(response).map_err(|error| error.to_string())?;
            serde_json::to_value(&*parsed).map_err(|error| error.to_string())
        },
    })
}

/// Returns the name, the method, the path and the declaration of each operation of the contract.
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

/// Parses a request from a sample of its schema.
fn sample_request<T: DeserializeOwned>(samples: &Samples<'_>, schema: &str) -> Result<T, String> {
    let mut value = samples.of_schema(schema, Style::Filled).swap_remove(0);
    // The contract declares these, but callers with an API key must not set them.
    if let Some(object) = value.as_object_mut() {
        object.remove("decided_tool_approvals");
        object.remove("streaming");
    }
    serde_json::from_value(value).map_err(|error| format!("{schema}: {error}"))
}

fn all(samples: &Samples<'_>) -> Vec<Result<Operation, String>> {
    macro_rules! from {
        ($schema:literal) => {
            match sample_request(samples, $schema) {
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
        operation(&invoke_workflow),
        operation(&invoke_prompt),
        operation(&invoke_agent),
        operation(&invoke_hive_agent),
        operation(&GetAgentDelegation::new("d")),
        operation(&CancelAgentDelegation::new("d")),
        operation(&ListThreadDelegations::new("t")),
        operation(&GetRequest::new("req_1")),
        operation(&ListModels::new()),
        operation(&ListSearchServiceCountries::new()),
        operation(&GetSearchServiceCountries::new("bing_search")),
        operation(&ListErrorCodes::new("es".to_owned())),
        operation(&ListAgents::new("w")),
        operation(&GetAgent::new("w", "a")),
        operation(&CreateAgent::new("w", agent)),
        operation(&UpdateAgent::new("w", "a", agent_update)),
        operation(&DeleteAgent::new("w", "a")),
        operation(&CreateAgentChat::new("w", "a", chat)),
        operation(&GetAgentChat::new("w", "a", "c")),
        operation(&UpdateAgentChat::new("w", "a", "c", chat_update)),
        operation(&DeleteAgentChat::new("w", "a", "c")),
        operation(&ClearAgentChatMessages::new("w", "a", "c")),
        operation(&ListAgentChatMessages::new("w", "a", "c")),
        operation(&ListKnowledgeBases::new("w")),
        operation(&GetKnowledgeBase::new("w", "k")),
        operation(&CreateKnowledgeBase::new("w", base)),
        operation(&UpdateKnowledgeBase::new("w", "k", base_update)),
        operation(&DeleteKnowledgeBase::new("w", "k")),
        operation(&SearchKnowledgeBase::new("w", "k", search)),
        operation(&ListKnowledgeBaseItems::new("w", "k")),
        operation(&GetKnowledgeBaseItem::new("w", "k", "i")),
        operation(&CreateKnowledgeBaseItem::new("w", "k", item)),
        operation(&UpdateKnowledgeBaseItem::new("w", "k", "i", item_update)),
        operation(&DeleteKnowledgeBaseItem::new("w", "k", "i")),
        operation(&RegenerateKnowledgeBaseItem::new("w", "k", "i")),
        operation(&ListAssets::new("w")),
        operation(&UploadAsset::new("w", AssetFile::new("a.png", "image/png", *b"content"))),
        operation(&ListToolActionApprovals::new("w", filter)),
        operation(&GetToolActionApproval::new("w", "a")),
        operation(&DecideToolActionApproval::new("w", "a", ApprovalDecision::AllowOnce)),
        operation(&trigger_workflow),
        operation(&trigger_prompt),
        operation(&trigger_agent),
    ]
}

/// Compares every operation with its declaration. Returns the number of operations that match.
pub(crate) fn check(contract: &Value, samples: &Samples<'_>, failures: &mut Vec<String>) -> usize {
    let mut operations = Vec::new();
    for operation in all(samples) {
        match operation {
            Ok(operation) => operations.push(operation),
            Err(error) => failures.push(error),
        }
    }
    let declared = declared(contract);
    for operation in &operations {
        if !declared.iter().any(|row| row.0 == operation.name) {
            failures.push(format!("{}: not an operation of the contract", operation.name));
        }
    }
    let mut matching = 0;
    for (name, method, path, declaration) in &declared {
        let Some(operation) = operations.iter().find(|operation| operation.name == name) else {
            failures.push(format!("{name}: no endpoint"));
            continue;
        };
        let mut differences = Vec::new();
        if (&operation.method, operation.path) != (method, path.as_str()) {
            differences.push(format!("uses {} {}, expected {method} {path}", operation.method, operation.path));
        }
        differences.extend(authentication(operation, declaration));
        differences.extend(query(operation, declaration));
        differences.extend(body(contract, samples, operation, declaration).err());
        differences.extend(responses(samples, operation, declaration).err());
        matching += usize::from(differences.is_empty());
        failures.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    matching
}

fn parameters<'a>(declaration: &'a Value, place: &'a str) -> impl Iterator<Item = &'a str> {
    let parameters = declaration["parameters"].as_array().into_iter().flatten();
    parameters.filter(move |parameter| parameter["in"] == place).filter_map(|parameter| parameter["name"].as_str())
}

fn authentication(operation: &Operation, declaration: &Value) -> Option<String> {
    let headers = operation.request.headers();
    let key = declaration["security"].as_array().is_none_or(|security| !security.is_empty());
    let secret = parameters(declaration, "header").any(|name| name.eq_ignore_ascii_case(WEBHOOK_SECRET_HEADER));
    let sent = (headers.contains_key("authorization"), headers.contains_key(WEBHOOK_SECRET_HEADER));
    (sent != (key, secret)).then(|| format!("sends (key, secret) {sent:?}, expected {:?}", (key, secret)))
}

fn query(operation: &Operation, declaration: &Value) -> Option<String> {
    // The client sends the secret in a header, which does not appear in logs.
    let mut expected: Vec<_> = parameters(declaration, "query").filter(|name| *name != "secret").collect();
    let query = operation.request.uri().query().unwrap_or_default();
    let mut sent: Vec<_> = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    expected.sort_unstable();
    sent.sort_unstable();
    (expected != sent).then(|| format!("has the query {sent:?}, expected {expected:?}"))
}

fn body(contract: &Value, samples: &Samples<'_>, operation: &Operation, declaration: &Value) -> Result<(), String> {
    let content = &declaration["requestBody"]["content"];
    let (pieces, _) = operation.request.body().clone().into_pieces();
    let bytes = pieces.iter().map(|piece| match piece {
        BodyPiece::Bytes(bytes) => &bytes[..],
        BodyPiece::File(_) => b"a file",
    });
    let sent = bytes.collect::<Vec<_>>().concat();
    let content_type = operation.request.headers().get("content-type").and_then(|value| value.to_str().ok());
    if content.get("multipart/form-data").is_some() {
        let text = String::from_utf8_lossy(&sent);
        let form = content_type.is_some_and(|value| value.starts_with("multipart/form-data; boundary="));
        let part = text.contains("name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\ncontent\r\n--");
        return if form && part { Ok(()) } else { Err(format!("sends no form with a file: {text}")) };
    }
    let Some(schema) = content["application/json"].get("schema") else {
        return if matches!(&sent[..], b"" | b"{}") {
            Ok(())
        } else {
            Err("sends a body, but none is declared".to_owned())
        };
    };
    let sent: Value = serde_json::from_slice(&sent).map_err(|error| format!("sends invalid JSON: {error}"))?;
    let validator = jsonschema::validator_for(&json!({"$ref": schema["$ref"], "components": contract["components"]}))
        .map_err(|error| error.to_string())?;
    if let Some(error) = validator.iter_errors(&sent).next() {
        return Err(format!("sends a body that violates its schema: {error}"));
    }
    let mut expected = samples.of(schema, Style::Filled).swap_remove(0);
    if let Some(object) = expected.as_object_mut() {
        object.remove("decided_tool_approvals");
        if object.contains_key("streaming") {
            object.insert("streaming".to_owned(), false.into());
        }
    }
    compare(&expected, &sent)
}

/// Parses samples of every declared response, and compares them without the envelope.
fn responses(samples: &Samples<'_>, operation: &Operation, declaration: &Value) -> Result<(), String> {
    for (status, response) in declaration["responses"].as_object().into_iter().flatten() {
        let Some(schema) = response["content"]["application/json"].get("schema").filter(|_| status.starts_with('2'))
        else {
            continue;
        };
        for style in Style::ALL {
            for sample in samples.of(schema, style) {
                let actual = (operation.parse)(&sample).map_err(|error| format!("{status} ({style:?}): {error}"))?;
                let expected = operation.envelope.and_then(|key| sample.get(key)).unwrap_or(&sample);
                let aliased = ALIASES.iter().fold(expected.clone(), |mut expected, (_, alias, documented)| {
                    if let Some(object) = expected.as_object_mut().filter(|object| !object.contains_key(*documented)) {
                        if actual.get(documented).is_some() {
                            object.remove(*alias).map(|value| object.insert((*documented).to_owned(), value));
                        }
                    }
                    expected
                });
                compare(&aliased, &actual).map_err(|error| format!("{status} ({style:?}): {error}"))?;
            }
        }
    }
    Ok(())
}
