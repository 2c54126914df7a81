//! Knowledge bases and their items, whose indexing takes time.

use serde_json::{Map, Value, json};

use crate::call::{Call, scope};
use crate::moment;
use crate::reply::{Reply, json_reply, refusal};
use crate::resources::{ASSET, ITEM, KNOWLEDGE_BASE, visible};
use crate::run::Run;
use crate::search;

/// Until when an item is pending, in milliseconds since 1970.
const READY_AT: &str = "_ready_at";

pub(crate) fn made(call: &Call<'_>, base: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    changed(call, base)?;
    for (member, value) in [
        ("description", Value::Null),
        ("search_type", json!("hybrid")),
        ("search_score_threshold", json!("0.0")),
        ("search_chunk_limit", json!(5)),
        ("status", json!("active")),
    ] {
        base.entry(member).or_insert(value);
    }
    Ok(())
}

/// Read, the threshold is a text, and the limit a number.
pub(crate) fn changed(_: &Call<'_>, base: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    if let Some(threshold) = base.get_mut("search_score_threshold") {
        if !threshold.is_string() {
            *threshold = threshold.to_string().into();
        }
    }
    if let Some(limit) = base.get_mut("search_chunk_limit") {
        match limit.as_i64() {
            Some(1..=20) => {}
            _ => return Err(Box::new(refusal(422, "validation_error", "search_chunk_limit must be from 1 to 20."))),
        }
    }
    Ok(())
}

pub(crate) fn shown(call: &Call<'_>, within: &str, base: Value) -> Value {
    let mut base = visible(base);
    let items = format!("{within}/{}", scope([base["id"].as_str().unwrap_or_default()]));
    base["data_item_count"] = call.service.store.count(ITEM.name, &items).into();
    let search_type = base["search_type"].as_str().unwrap_or("hybrid").to_owned();
    for (member, is) in [
        ("is_active", true),
        ("is_archived", false),
        ("is_hybrid_search", search_type == "hybrid"),
        ("is_vector_search", search_type == "vector"),
        ("is_full_text_search", search_type == "full_text"),
    ] {
        base[member] = is.into();
    }
    base
}

pub(crate) fn item_made(call: &Call<'_>, item: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
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
    if !asset.is_empty() && call.service.store.get(ASSET.name, &ASSET.scope(call), &asset).is_none() {
        errors.push("Asset must exist".to_owned());
    }
    if !errors.is_empty() {
        let error = errors.join(", ");
        return Err(Box::new(json_reply(422, &json!({"error": error, "errors": errors}))));
    }
    item.insert("item_type".to_owned(), item_type.into());
    item.insert("knowledge_base_id".to_owned(), call.id("knowledge_base_id").into());
    item.insert("status".to_owned(), "active".into());
    item.insert(READY_AT.to_owned(), ready_at(call).into());
    Ok(())
}

/// An item whose content changes is indexed again.
#[allow(clippy::unnecessary_wraps, reason = "other kinds refuse changes")]
pub(crate) fn item_changed(call: &Call<'_>, item: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    let again = ["data_content", "data_query", "chunking_strategy", "chunk_overlap", "maximum_chunk_length"];
    if again.iter().any(|member| item.contains_key(*member)) {
        item.insert(READY_AT.to_owned(), ready_at(call).into());
    }
    Ok(())
}

fn ready_at(call: &Call<'_>) -> u64 {
    moment::now_ms() + u64::try_from(call.service.indexing.as_millis()).unwrap_or(u64::MAX / 2)
}

fn is_ready(item: &Value) -> bool {
    item[READY_AT].as_u64().unwrap_or(0) <= moment::now_ms()
}

pub(crate) fn item_shown(_: &Call<'_>, _: &str, item: Value) -> Value {
    let run_status = if is_ready(&item) { "processed" } else { "pending" };
    let mut item = visible(item);
    item["run_status"] = run_status.into();
    item
}

pub(crate) fn regenerate(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    ITEM.find(call, call.id("id"))?;
    let ready_at = ready_at(call);
    call.service.store.update(ITEM.name, &ITEM.scope(call), call.id("id"), |item| item[READY_AT] = ready_at.into());
    let run = Run::start(call, "knowledge_base_item", call.id("id"), &Value::Null, "queued");
    let (id, wait) = (run.id.clone(), call.service.indexing);
    call.service.spawn(async move {
        tokio::time::sleep(wait).await;
        run.end(&json!({"run_status": "completed"}));
    });
    let message = "Knowledge base item queued for regeneration.";
    Ok(json_reply(200, &json!({"message": message, "request_id": id})))
}

/// A search by words: what is asked for by meaning is answered by words too.
pub(crate) fn search(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    KNOWLEDGE_BASE.find(call, call.id("id"))?;
    let body = &call.body;
    let query = body["search_query"].as_str().unwrap_or_default();
    if query.trim().is_empty() {
        return Err(Box::new(refusal(422, "validation_error", "search_query can't be blank.")));
    }
    let items = call.service.store.list(ITEM.name, &call.scope(&["workspace_id", "id"]));
    let ready = items.iter().filter(|item| is_ready(item));
    let chunks: Vec<_> = ready.flat_map(|item| search::chunks(item, &content(call, item))).collect();
    let limit = usize::try_from(body["search_chunk_limit"].as_u64().unwrap_or(5)).unwrap_or(20);
    let threshold = body["search_score_threshold"].as_f64().unwrap_or_default();
    let found = search::best(&chunks, query, limit, threshold);
    let response = json!({"search_query": query, "search_type": body["search_type"], "results": found});
    Ok(json_reply(200, &json!({"message": "Knowledge base searched successfully.", "response": response})))
}

/// The text of an item: its own, or its file's.
fn content(call: &Call<'_>, item: &Value) -> String {
    let own = item["data_content"].as_str().or_else(|| item["data_query"].as_str()).unwrap_or_default();
    let file = item["asset_id"].as_str().and_then(|id| call.service.store.file(id));
    let file = file.map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned());
    [own, &file].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<&str>>().join("\n")
}
