use std::fmt;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AssetId, MissingField, Timestamp, WorkspaceId};

request! {
    /// Lists the assets of a workspace: `GET …/assets`.
    ListAssets(
        /// The workspace.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// Uploads a file: `POST …/assets`, as multipart form data. No source names the part; `file` is what we send (contract, section 2).
    UploadAsset(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The file.
        file: AssetFile,
    );
}

/// A file to upload: its bytes, its name and its media type. An empty one is refused, and so is one beyond
/// [`max_bytes`](AssetFile::max_bytes).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssetFile {
    /// Its name, as it is stored.
    pub name: String,
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// The most bytes that are sent: 100 MiB by default. No source states a limit of the service.
    pub max_bytes: usize,
}

impl AssetFile {
    /// A file from bytes.
    pub fn new(name: impl Into<String>, media_type: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), media_type: media_type.into(), content: content.into(), max_bytes: 100 << 20 }
    }

    /// Sets the most bytes that are sent.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl fmt::Debug for AssetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssetFile")
            .field("name", &self.name)
            .field("media_type", &self.media_type)
            .field("length", &self.content.len())
            .finish_non_exhaustive()
    }
}

record! {
    /// An uploaded file.
    Asset {
        /// The asset.
        id: Option<AssetId>,
        /// Where it is stored.
        object_key: Option<String>,
        /// Its name.
        file_name: Option<String>,
        /// Where it can be downloaded, for a short time.
        file_url: Option<String>,
        /// When that URL stops to work.
        file_url_expires_at: Option<Timestamp>,
        /// Its media type.
        file_type: Option<String>,
        /// Its size in bytes.
        file_size: Option<u64>,
        /// The kind of file, such as `image`.
        asset_type: Option<String>,
        /// Its workspace.
        workspace_id: Option<WorkspaceId>,
        /// When it was uploaded.
        uploaded_at: Option<Timestamp>,
        /// What went wrong with it.
        error_message: Option<String>,
        /// The transcript that is made from it.
        transcription: Option<AssetTranscription>,
    }
}

impl Asset {
    /// Returns the id of the asset.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&AssetId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

open_enum! {
    /// Where a transcript stands.
    TranscriptionStatus {
        /// It waits.
        Pending = "pending",
        /// It is being made.
        Processing = "processing",
        /// It is there.
        Completed = "completed",
        /// It could not be made.
        Failed = "failed",
    }
}

record! {
    /// The transcript of an audio or video file.
    AssetTranscription {
        /// Where it stands.
        status: Option<TranscriptionStatus>,
        /// Why it failed, for programs.
        error_code: Option<String>,
        /// Why it failed, for people.
        error_message: Option<String>,
        /// When it was made.
        completed_at: Option<Timestamp>,
    }
}

record! {
    /// An asset after its upload, with what the service says about it.
    AssetUploadResponse {
        /// What the service says.
        message: Option<String>,
        /// The asset.
        asset: Option<Asset>,
    }
}

impl AssetUploadResponse {
    /// Returns the id of the uploaded asset.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `asset` with an id.
    pub fn id(&self) -> Result<&AssetId, MissingField> {
        MissingField::check(self.asset.as_ref().and_then(|asset| asset.id.as_ref()), "asset.id")
    }
}
