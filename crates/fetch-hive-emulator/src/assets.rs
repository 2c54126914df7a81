//! Assets: uploads, and downloads by a signed link that expires.

use bytes::Bytes;
use fetch_hive_core::signature::sign;
use fetch_hive_core::types::WebhookSecret;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::call::{Call, read_query};
use crate::moment;
use crate::reply::{Reply, json_reply, raw, refusal};
use crate::resources::{ASSET, new_id, uuid_or_null, visible};
use crate::service::Service;

/// Where files are downloaded; no path of the contract.
pub(crate) const FILES: &str = "/_emulator/files/";

pub(crate) async fn upload(call: &Call<'_>) -> Reply {
    let refused = |text: &str| {
        let error = json!({"error": text, "message": text, "error_code": "missing_required_field"});
        json_reply(422, &error)
    };
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return refused("No file was sent: the body is not multipart/form-data.");
    };
    let whole = call.raw.clone();
    let body = http_body_util::BodyDataStream::new(http_body_util::Full::new(whole));
    let mut form = multer::Multipart::new(body, boundary);
    loop {
        let part = match form.next_field().await {
            Ok(Some(part)) => part,
            Ok(None) => return refused("No file was sent: the form has no part named file."),
            Err(error) => return refused(&format!("The form cannot be read: {error}")),
        };
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().filter(|name| !name.is_empty()).unwrap_or("file").to_owned();
        let file_type = part.content_type().map_or("application/octet-stream", AsRef::as_ref).to_owned();
        return match part.bytes().await {
            Ok(bytes) => keep(call, &name, &file_type, bytes),
            Err(error) => refused(&format!("The file cannot be read: {error}")),
        };
    }
}

fn keep(call: &Call<'_>, name: &str, file_type: &str, bytes: Bytes) -> Reply {
    let (workspace, id) = (call.id("workspace_id"), new_id());
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
        "uploaded_at": moment::now(),
        "error_message": null,
        "transcription": null,
    });
    call.service.store.put_file(&id, bytes);
    call.service.store.put(ASSET.name, &ASSET.scope(call), &id, asset.clone());
    json_reply(200, &json!({"message": "Asset uploaded successfully.", "asset": shown(call, "", asset)}))
}

/// An asset with a link that is good for a time.
pub(crate) fn shown(call: &Call<'_>, _: &str, asset: Value) -> Value {
    let mut asset = visible(asset);
    let id = asset["id"].as_str().unwrap_or_default();
    let expires =
        moment::now_ms() + u64::try_from(call.service.asset_link_lifetime.as_millis()).unwrap_or(u64::MAX / 2);
    let signature = signature(call.service, id, expires);
    asset["file_url"] = format!("{}{FILES}{id}?expires={expires}&signature={signature}", call.origin()).into();
    asset["file_url_expires_at"] = moment::at(expires).into();
    asset
}

fn signature(service: &Service, id: &str, expires: u64) -> String {
    let secret = service.kept_secret("links", "");
    sign(&WebhookSecret::new(secret), format!("{id} {expires}").as_bytes())
}

/// The file behind a link; refused where the link was changed, or is too old.
pub(crate) fn download(service: &Service, path: &str, query: &str) -> Reply {
    let query = read_query(query);
    let id = path.strip_prefix(FILES).unwrap_or_default();
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let expires = text("expires").parse().unwrap_or(0);
    if signature(service, id, expires) != text("signature") {
        return refusal(403, "", "The link is not one of this emulator's.");
    }
    if expires < moment::now_ms() {
        return refusal(403, "", "The link has expired. List the assets for a new one.");
    }
    let asset = service.store.find(ASSET.name, |asset| asset["id"] == id);
    let (Some((_, asset)), Some(bytes)) = (asset, service.store.file(id)) else { return ASSET.not_found() };
    let mut reply = raw(http::StatusCode::OK, &[], bytes);
    let headers = reply.headers_mut();
    let header = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    let file_type = asset["file_type"].as_str().unwrap_or_default();
    headers.insert(CONTENT_TYPE, header(file_type.to_owned()));
    let name = asset["file_name"].as_str().unwrap_or_default().replace(['"', '\\'], "_");
    // A file is the upload's; a browser is to keep it, not to run it.
    headers.insert(CONTENT_DISPOSITION, header(format!("attachment; filename=\"{name}\"")));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    reply
}
