use std::path::Path;

use fetch_hive_core::InvalidInput;
use fetch_hive_core::types::AssetFile;

use crate::error::Error;

/// Reads a file for [`Assets::upload`](crate::resources::Assets::upload), and blocks while it does
/// so.
///
/// The name of the asset is the last component of the path.
///
/// # Errors
///
/// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `file` if it cannot be read.
pub fn read_asset_file(path: impl AsRef<Path>, media_type: impl Into<String>) -> Result<AssetFile, Error> {
    let path = path.as_ref();
    let content = std::fs::read(path).map_err(|error| InvalidInput::new("file", format!("cannot be read: {error}")))?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(AssetFile::new(name, media_type, content))
}
