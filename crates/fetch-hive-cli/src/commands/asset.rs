//! `fetch-hive asset`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use fetch_hive_client::open_asset_file;
use fetch_hive_client::types::{AssetFile, ListAssets};

use super::resource::call;
use crate::context::{Context, RUN_TIMEOUT};
use crate::failure::{Failure, Result};
use crate::table::Shape;

const LIST: Shape =
    Shape::List { key: "assets", columns: &["id", "file_name", "file_type", "file_size", "uploaded_at"] };

#[derive(Debug, Subcommand)]
pub(crate) enum Asset {
    /// List the assets of the workspace
    #[command(before_help = "Examples:\n  fetch-hive asset list")]
    List,
    /// Upload a file
    #[command(before_help = "Examples:\n  fetch-hive asset upload report.pdf\n  fetch-hive asset upload data.bin \
                             --media-type application/octet-stream")]
    Upload {
        /// The file
        file: PathBuf,
        /// The media type [default: guessed from the file's extension]
        #[arg(long, value_name = "TYPE")]
        media_type: Option<String>,
    },
}

pub(crate) async fn execute(command: Asset, context: &Context) -> Result<()> {
    let workspace = context.workspace()?;
    let (file, media_type) = match command {
        Asset::List => return call(context, ListAssets::new(workspace), LIST).await,
        Asset::Upload { file, media_type } => (file, media_type),
    };
    let media_type = media_type.unwrap_or_else(|| self::media_type(&file).to_owned());
    let asset = open(&file, media_type)?.max_bytes(u64::MAX);
    let call = context.client().await?.workspace(workspace).assets().upload(asset);
    // A large file takes longer than other calls.
    let call = call.timeout(context.globals.timeout.unwrap_or(6 * RUN_TIMEOUT));
    let bar = context.out.progress_bar("{bar:30} {bytes}/{total_bytes} {eta}");
    let progress = bar.clone();
    let call = call.on_upload_progress(move |sent, total| {
        progress.set_length(total);
        progress.set_position(sent);
    });
    let response = call.await;
    bar.finish_and_clear();
    context.out.response(Shape::Record("asset"), response?.body())
}

/// Opens a file for an upload.
pub(crate) fn open(path: &Path, media_type: impl Into<String>) -> Result<AssetFile> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::file("read", path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is not a regular file", path.display())).next("pass the path of a file"));
    }
    std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(open_asset_file(path, media_type)?)
}

/// Guesses the media type of a file from its extension.
pub(crate) fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "zip" => "application/zip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}
