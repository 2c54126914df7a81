use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AssetId, MissingField, Timestamp, WorkspaceId};

request! {
    /// A request to list the assets of a workspace.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/assets`.
    ListAssets(
        /// The id of the workspace whose assets are listed.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// A request to upload a file to a workspace.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/assets` with a multipart form. The
    /// name of the form part, `file`, is our decision, and unconfirmed. See the
    /// [contract](crate::contract#endpoints).
    UploadAsset(
        /// The id of the workspace that the file is uploaded to.
        workspace_id: WorkspaceId,
        /// The file to upload, with its name and media type.
        file: AssetFile,
    );
}

/// A file to upload: its name, its media type and its content.
///
/// A file that is empty or larger than [`max_bytes`](Self::max_bytes) is rejected before it is
/// sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssetFile {
    /// The name under which the file is stored.
    pub name: String,
    /// The media type of the file, such as `image/png`.
    pub media_type: String,
    /// The content of the file.
    pub content: FileContent,
    /// The maximum number of bytes to upload, 100 MiB by default.
    ///
    /// The sources do not state a limit of the service.
    pub max_bytes: u64,
}

/// The content of a file to upload.
#[derive(Clone, PartialEq, Eq)]
pub enum FileContent {
    /// Bytes in memory.
    Bytes(Arc<Vec<u8>>),
    /// A file that is read while it is sent.
    OnDisk(FileOnDisk),
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::OnDisk(file) => f.debug_tuple("OnDisk").field(file).finish(),
        }
    }
}

impl FileContent {
    /// Returns the number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::OnDisk(file) => file.len,
        }
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file on disk, as it was when it was added to a request.
///
/// Sending fails if the file has another length or modification time by then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOnDisk {
    /// The path of the file.
    pub path: PathBuf,
    /// The number of bytes.
    pub len: u64,
    /// The time of the last modification, if the platform provides it.
    pub modified: Option<SystemTime>,
}

impl FileOnDisk {
    /// Creates the description of a file from its path and its metadata.
    pub fn new(path: impl Into<PathBuf>, len: u64, modified: Option<SystemTime>) -> Self {
        Self { path: path.into(), len, modified }
    }
}

impl AssetFile {
    /// Creates a file to upload from its name, its media type and its content in memory.
    pub fn new(name: impl Into<String>, media_type: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self::with_content(name, media_type, FileContent::Bytes(Arc::new(content.into())))
    }

    /// Creates a file to upload that is read while it is sent.
    ///
    /// `fetch_hive_client::open_asset_file` reads the length and the modification time.
    pub fn on_disk(name: impl Into<String>, media_type: impl Into<String>, file: FileOnDisk) -> Self {
        Self::with_content(name, media_type, FileContent::OnDisk(file))
    }

    fn with_content(name: impl Into<String>, media_type: impl Into<String>, content: FileContent) -> Self {
        Self { name: name.into(), media_type: media_type.into(), content, max_bytes: 100 << 20 }
    }

    /// Sets the maximum number of bytes to upload.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
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
    /// A file that was uploaded to a workspace.
    Asset {
        /// The id of the asset, by which other requests refer to it.
        id: Option<AssetId>,
        /// The key under which the service stores the file.
        object_key: Option<String>,
        /// The name of the file, including its extension.
        file_name: Option<String>,
        /// The URL from which the file can be downloaded until it expires.
        file_url: Option<String>,
        /// The time at which the download URL expires.
        file_url_expires_at: Option<Timestamp>,
        /// The media type of the file, such as `image/png`.
        file_type: Option<String>,
        /// The size of the file in bytes.
        file_size: Option<u64>,
        /// The kind of file, such as `image`.
        asset_type: Option<String>,
        /// The id of the workspace that the asset belongs to.
        workspace_id: Option<WorkspaceId>,
        /// The time at which the file was uploaded.
        uploaded_at: Option<Timestamp>,
        /// The reason why the service could not process the file.
        error_message: Option<String>,
        /// The transcription of an audio or video file.
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
    /// The status of the transcription of an audio or video file.
    TranscriptionStatus {
        /// The transcription has not started yet.
        Pending = "pending",
        /// The service is transcribing the file.
        Processing = "processing",
        /// The service has transcribed the file.
        Completed = "completed",
        /// The service could not transcribe the file.
        Failed = "failed",
    }
}

record! {
    /// The transcription of an audio or video file.
    AssetTranscription {
        /// The status of the transcription, such as `completed`.
        status: Option<TranscriptionStatus>,
        /// The machine-readable reason why the transcription failed.
        error_code: Option<String>,
        /// A human-readable reason for a failed transcription.
        error_message: Option<String>,
        /// The time at which the transcription was completed.
        completed_at: Option<Timestamp>,
    }
}

record! {
    /// The response to the upload of a file.
    AssetUploadResponse {
        /// A human-readable confirmation, in the language of the account.
        message: Option<String>,
        /// The asset that was created from the file.
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
