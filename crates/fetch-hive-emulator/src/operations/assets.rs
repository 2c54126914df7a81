//! Assets: uploads, and downloads by a signed link that expires.

use bytes::Bytes;
use fetch_hive_core::signature::sign;
use fetch_hive_core::types::WebhookSecret;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::http::response::{Response, error_response, json_response, raw_response};
use crate::operations::request::{OperationRequest, parse_query};
use crate::operations::resource::{Resource, without_internal_fields};
use crate::state::State;
use crate::state::clock;
use crate::state::ids::{new_id, uuid_or_null};

pub(crate) static ASSET: Resource = Resource {
    kind: "asset",
    field: "asset",
    list_field: "assets",
    scope: &["workspace_id"],
    parent: None,
    child_kinds: &[],
    missing_status: 404,
    noun: "Asset",
    on_create: None,
    on_update: None,
    view,
};

/// The prefix of the paths for downloads. No operation has such a path.
pub(crate) const DOWNLOAD_PREFIX: &str = "/_emulator/files/";

pub(crate) async fn upload(request: &OperationRequest<'_>) -> Response {
    let invalid = |text: &str| {
        let error = json!({"error": text, "message": text, "error_code": "missing_required_field"});
        json_response(422, &error)
    };
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return invalid("The body is not multipart/form-data. Send the file in a part named file.");
    };
    let body = http_body_util::BodyDataStream::new(http_body_util::Full::new(request.raw.clone()));
    let mut form = multer::Multipart::new(body, boundary);
    loop {
        let part = match form.next_field().await {
            Ok(Some(part)) => part,
            Ok(None) => return invalid("The form has no part named file."),
            Err(error) => return invalid(&format!("The form cannot be read: {error}")),
        };
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().filter(|name| !name.is_empty()).unwrap_or("file").to_owned();
        let file_type = part.content_type().map_or("application/octet-stream", AsRef::as_ref).to_owned();
        return match part.bytes().await {
            Ok(bytes) => store(request, &name, &file_type, bytes),
            Err(error) => invalid(&format!("The file cannot be read: {error}")),
        };
    }
}

fn store(request: &OperationRequest<'_>, name: &str, file_type: &str, bytes: Bytes) -> Response {
    let (workspace, id) = (request.id("workspace_id"), new_id());
    let family = file_type.split('/').next().filter(|family| matches!(*family, "image" | "audio" | "video"));
    let asset_type = family.unwrap_or("document");
    let asset = json!({
        "id": id,
        "object_key": format!("workspaces/{workspace}/assets/{id}/{name}"),
        "file_name": name,
        "file_type": file_type,
        "file_size": bytes.len(),
        "asset_type": asset_type,
        "workspace_id": uuid_or_null(workspace),
        "uploaded_at": clock::now(),
        "error_message": null,
        "transcription": null,
    });
    request.state.store.put_file(&id, bytes);
    request.state.store.put(ASSET.kind, &ASSET.scope(request), &id, asset.clone());
    json_response(200, &json!({"message": "Asset uploaded successfully.", "asset": view(request, "", asset)}))
}

/// Adds a download link with a limited lifetime to an asset.
fn view(request: &OperationRequest<'_>, _: &str, asset: Value) -> Value {
    let mut asset = without_internal_fields(asset);
    let id = asset["id"].as_str().unwrap_or_default();
    let expires =
        clock::now_ms() + u64::try_from(request.state.settings.asset_link_lifetime.as_millis()).unwrap_or(u64::MAX / 2);
    let signature = signature(request.state, id, expires);
    asset["file_url"] =
        format!("{}{DOWNLOAD_PREFIX}{id}?expires={expires}&signature={signature}", request.url_origin()).into();
    asset["file_url_expires_at"] = clock::format_ms(expires).into();
    asset
}

fn signature(state: &State, id: &str, expires: u64) -> String {
    let secret = state.stored_secret("links", "");
    sign(&WebhookSecret::new(secret), format!("{id} {expires}").as_bytes())
}

/// Returns the file of a download link, or an error if the link is invalid or has expired.
pub(crate) fn download(state: &State, path: &str, query: &str) -> Response {
    let query = parse_query(query);
    let id = path.strip_prefix(DOWNLOAD_PREFIX).unwrap_or_default();
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let expires = text("expires").parse().unwrap_or(0);
    if signature(state, id, expires) != text("signature") {
        return error_response(403, "", "The download link is invalid. List the assets for a new link.");
    }
    if expires < clock::now_ms() {
        return error_response(403, "", "The download link has expired. List the assets for a new link.");
    }
    let asset = state.store.find(ASSET.kind, |asset| asset["id"] == id);
    let (Some((_, asset)), Some(bytes)) = (asset, state.store.file(id)) else { return ASSET.not_found() };
    let mut response = raw_response(http::StatusCode::OK, &[], bytes);
    let headers = response.headers_mut();
    let header = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    let file_type = asset["file_type"].as_str().unwrap_or_default();
    headers.insert(CONTENT_TYPE, header(file_type.to_owned()));
    let name = asset["file_name"].as_str().unwrap_or_default().replace(['"', '\\'], "_");
    // A browser must not execute an uploaded file.
    headers.insert(CONTENT_DISPOSITION, header(format!("attachment; filename=\"{name}\"")));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
