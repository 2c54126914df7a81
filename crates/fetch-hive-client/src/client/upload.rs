use std::path::Path;

use fetch_hive_core::InvalidInput;
use fetch_hive_core::types::{AssetFile, FileOnDisk};

use crate::error::Error;

/// Prepares a file for [`Assets::upload`](crate::resources::Assets::upload), which reads it while
/// it is sent.
///
/// The name of the asset is the last component of the path. The file must not change until it was
/// sent: a changed length or modification time is an error, and the server does not receive a
/// complete body. Each attempt sends the file from its beginning.
///
/// # Errors
///
/// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `file` if it cannot be read, or is
/// not a regular file.
pub fn open_asset_file(path: impl AsRef<Path>, media_type: impl Into<String>) -> Result<AssetFile, Error> {
    let path = path.as_ref();
    let invalid = |reason: String| InvalidInput::new("file", format!("`{}` {reason}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(invalid("is not a regular file; read it into memory and use `AssetFile::new`".to_owned()).into());
    }
    std::fs::File::open(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let file = FileOnDisk::new(path, metadata.len(), metadata.modified().ok());
    Ok(AssetFile::on_disk(name, media_type, file))
}
