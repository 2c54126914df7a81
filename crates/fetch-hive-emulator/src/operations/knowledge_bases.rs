//! Knowledge bases, their items and their search.

use serde_json::{Map, Value, json};

use crate::http::response::{Response, error_response, json_response};
use crate::operations::assets::ASSET;
use crate::operations::request::{OperationRequest, OperationResult, scope};
use crate::operations::resource::{Resource, without_internal_fields};
use crate::operations::runs::Run;
use crate::operations::search;
use crate::state::clock;

/// The internal field with the time until which an item is pending, in Unix milliseconds.
const READY_AT: &str = "_ready_at";

pub(crate) static KNOWLEDGE_BASE: Resource = Resource {
    kind: "knowledge_base",
    field: "knowledge_base",
    list_field: "knowledge_bases",
    scope: &["workspace_id"],
    parent: None,
    child_kinds: &["knowledge_base_item"],
    missing_status: 422,
    noun: "Knowledge base",
    on_create: Some(on_create),
    on_update: Some(on_update),
    view,
};

pub(crate) static ITEM: Resource = Resource {
    kind: "knowledge_base_item",
    field: "knowledge_base_item",
    list_field: "knowledge_base_items",
    scope: &["workspace_id", "knowledge_base_id"],
    parent: Some((&KNOWLEDGE_BASE, "knowledge_base_id")),
    child_kinds: &[],
    missing_status: 422,
    noun: "Knowledge base item",
    on_create: Some(on_create_item),
    on_update: Some(on_update_item),
    view: item_view,
};

fn on_create(request: &OperationRequest<'_>, base: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    on_update(request, base)?;
    for (field, value) in [
        ("description", Value::Null),
        ("search_type", json!("hybrid")),
        ("search_score_threshold", json!("0.0")),
        ("search_chunk_limit", json!(5)),
        ("status", json!("active")),
    ] {
        base.entry(field).or_insert(value);
    }
    Ok(())
}

/// Checks the search settings. The service returns the threshold as a string.
fn on_update(_: &OperationRequest<'_>, base: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    if let Some(threshold) = base.get_mut("search_score_threshold") {
        if !threshold.is_string() {
            *threshold = threshold.to_string().into();
        }
    }
    if let Some(limit) = base.get_mut("search_chunk_limit") {
        match limit.as_i64() {
            Some(1..=20) => {}
            _ => {
                return Err(Box::new(error_response(
                    422,
                    "validation_error",
                    "search_chunk_limit must be from 1 to 20.",
                )));
            }
        }
    }
    Ok(())
}

fn view(request: &OperationRequest<'_>, base_scope: &str, base: Value) -> Value {
    let mut base = without_internal_fields(base);
    let items = format!("{base_scope}/{}", scope([base["id"].as_str().unwrap_or_default()]));
    base["data_item_count"] = request.state.store.count(ITEM.kind, &items).into();
    let search_type = base["search_type"].as_str().unwrap_or("hybrid").to_owned();
    for (field, value) in [
        ("is_active", true),
        ("is_archived", false),
        ("is_hybrid_search", search_type == "hybrid"),
        ("is_vector_search", search_type == "vector"),
        ("is_full_text_search", search_type == "full_text"),
    ] {
        base[field] = value.into();
    }
    base
}

fn on_create_item(request: &OperationRequest<'_>, item: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut errors = Vec::new();
    if text("name").trim().is_empty() {
        errors.push("Name can't be blank".to_owned());
    }
    let item_type = if text("item_type").is_empty() { "custom" } else { text("item_type") }.to_owned();
    let asset = text("asset_id").to_owned();
    if item_type == "website_scrape" && text("data_query").is_empty() {
        errors.push("Data query can't be blank for a website".to_owned());
    }
    if !asset.is_empty() && request.state.store.get(ASSET.kind, &ASSET.scope(request), &asset).is_none() {
        errors.push("Asset must exist".to_owned());
    }
    if !errors.is_empty() {
        let error = errors.join(", ");
        return Err(Box::new(json_response(422, &json!({"error": error, "errors": errors}))));
    }
    item.insert("item_type".to_owned(), item_type.into());
    item.insert("knowledge_base_id".to_owned(), request.id("knowledge_base_id").into());
    item.insert("status".to_owned(), "active".into());
    item.insert(READY_AT.to_owned(), ready_at(request).into());
    Ok(())
}

/// Indexes an item again if its content changes.
#[allow(clippy::unnecessary_wraps, reason = "the signature is that of a check")]
fn on_update_item(request: &OperationRequest<'_>, item: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    let content_fields = ["data_content", "data_query", "chunking_strategy", "chunk_overlap", "maximum_chunk_length"];
    if content_fields.iter().any(|field| item.contains_key(*field)) {
        item.insert(READY_AT.to_owned(), ready_at(request).into());
    }
    Ok(())
}

fn ready_at(request: &OperationRequest<'_>) -> u64 {
    clock::now_ms() + u64::try_from(request.state.settings.indexing.as_millis()).unwrap_or(u64::MAX / 2)
}

fn is_ready(item: &Value) -> bool {
    item[READY_AT].as_u64().unwrap_or(0) <= clock::now_ms()
}

fn item_view(_: &OperationRequest<'_>, _: &str, item: Value) -> Value {
    let run_status = if is_ready(&item) { "processed" } else { "pending" };
    let mut item = without_internal_fields(item);
    item["run_status"] = run_status.into();
    item
}

pub(crate) fn regenerate_item(request: &OperationRequest<'_>) -> OperationResult {
    ITEM.find(request, request.id("id"))?;
    let ready_at = ready_at(request);
    request
        .state
        .store
        .update(ITEM.kind, &ITEM.scope(request), request.id("id"), |item| item[READY_AT] = ready_at.into());
    let run = Run::start(request, "knowledge_base_item", request.id("id"), &Value::Null, "queued");
    let (id, indexing) = (run.id.clone(), request.state.settings.indexing);
    request.state.spawn(async move {
        tokio::time::sleep(indexing).await;
        run.end(&json!({"run_status": "completed"}));
    });
    let message = "Knowledge base item queued for regeneration.";
    Ok(json_response(200, &json!({"message": message, "request_id": id})))
}

/// Searches by words (BM25), for every search type.
pub(crate) fn search(request: &OperationRequest<'_>) -> OperationResult {
    KNOWLEDGE_BASE.find(request, request.id("id"))?;
    let body = &request.body;
    let query = body["search_query"].as_str().unwrap_or_default();
    if query.trim().is_empty() {
        return Err(Box::new(error_response(422, "validation_error", "search_query can't be blank.")));
    }
    let items = request.state.store.list(ITEM.kind, &request.scope(&["workspace_id", "id"]));
    let ready = items.iter().filter(|item| is_ready(item));
    let chunks: Vec<_> = ready.flat_map(|item| search::chunks(item, &content(request, item))).collect();
    let limit = usize::try_from(body["search_chunk_limit"].as_u64().unwrap_or(5)).unwrap_or(20);
    let threshold = body["search_score_threshold"].as_f64().unwrap_or_default();
    let results = search::best_chunks(&chunks, query, limit, threshold);
    let response = json!({"search_query": query, "search_type": body["search_type"], "results": results});
    Ok(json_response(200, &json!({"message": "Knowledge base searched successfully.", "response": response})))
}

/// Returns the text of an item and of its file.
fn content(request: &OperationRequest<'_>, item: &Value) -> String {
    let text = item["data_content"].as_str().or_else(|| item["data_query"].as_str()).unwrap_or_default();
    let file = item["asset_id"].as_str().and_then(|id| request.state.store.file(id));
    let file = file.map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned());
    [text, &file].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<&str>>().join("\n")
}
