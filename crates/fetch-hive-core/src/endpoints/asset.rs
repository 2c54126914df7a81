use fetch_hive_types::{Asset, AssetUploadResponse};
use http::HeaderValue;

use super::endpoint;
use crate::checks::{not_blank, reject_if};
use crate::{Body, InvalidInput, multipart};

/// The name of the form field that contains the file. It is unconfirmed.
const PART: &str = "file";

endpoint! {
    request: ListAssets { workspace_id },
    name: "listAssets",
    method: GET, path: "/public/workspaces/{workspace_id}/assets",
    retry: Idempotent,
    envelope: "assets",
    response: Vec<Asset>,
}

endpoint! {
    request: UploadAsset { workspace_id },
    name: "uploadAsset",
    method: POST, path: "/public/workspaces/{workspace_id}/assets",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: AssetUploadResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        let file = &self.file;
        not_blank("file.name", &file.name)?;
        let media_type = file.media_type.contains('/') && HeaderValue::from_str(&file.media_type).is_ok();
        reject_if(!media_type, "file.media_type", "must be a media type, such as image/png")?;
        reject_if(file.content.is_empty(), "file.content", "must not be empty")?;
        if file.content.len() > file.max_bytes {
            let reason = format!("has {} bytes, which exceeds max_bytes ({})", file.content.len(), file.max_bytes);
            return Err(InvalidInput::new("file.content", reason));
        }
        Ok(())
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        multipart::file(PART, &self.file)
    }
}
