use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::target::Target;
use crate::{Error, cell_text};

/// The maximum number of UTF-16 code units that spreadsheet programs accept in a cell.
const LIMIT: usize = 32_767;

/// Files for cells that are too long for a spreadsheet.
///
/// File names contain a digest of the contents. Files of an earlier export are therefore not
/// overwritten, and equal contents are written only once.
#[derive(Debug)]
pub(super) struct LongCells {
    folder: PathBuf,
    created_folder: bool,
    files: Vec<PathBuf>,
    created: Vec<PathBuf>,
}

impl LongCells {
    pub(super) fn new(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.with_file_name(format!("{stem}.cells"));
        Self { folder, created_folder: false, files: Vec::new(), created: Vec::new() }
    }

    /// Writes the contents of a cell that is too long to a file, and replaces the cell with the
    /// file's name.
    pub(super) fn limit(&mut self, row: u64, column: &str, cell: &mut Cow<'_, Value>) -> Result<(), Error> {
        let text = cell_text(cell);
        // UTF-8 text has at least as many bytes as UTF-16 code units.
        if text.len() <= LIMIT || text.encode_utf16().count() <= LIMIT {
            return Ok(());
        }
        let extension = if cell.is_string() { "txt" } else { "json" };
        let letters = column.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let column: String = letters.take(40).collect();
        let mut name = format!("row-{row}-{column}-");
        for byte in &digest(&SHA256, text.as_bytes()).as_ref()[..8] {
            let _ = write!(name, "{byte:02x}");
        }
        let path = self.folder.join(format!("{name}.{extension}"));
        self.write(&path, text.as_bytes())?;
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        drop(text);
        *cell = Cow::Owned(Value::from(format!("see file {folder}/{name}.{extension}")));
        Ok(())
    }

    fn write(&mut self, path: &Path, content: &[u8]) -> Result<(), Error> {
        if !self.folder.is_dir() {
            fs::create_dir(&self.folder).map_err(Error::io("create", &self.folder))?;
            self.created_folder = true;
        }
        let exists = path.exists();
        let (target, mut file) = Target::create(path)?;
        std::io::Write::write_all(&mut file, content)
            .and_then(|()| file.sync_all())
            .map_err(Error::io("write", path))?;
        drop(file);
        let (written, warning) = target.publish();
        if let Some(warning) = warning {
            return Err(Error::output(&written, warning));
        }
        if !exists {
            self.created.push(path.to_owned());
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Keeps the files permanently, and returns their paths.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        self.created.clear();
        self.created_folder = false;
        std::mem::take(&mut self.files)
    }
}

impl Drop for LongCells {
    fn drop(&mut self) {
        for path in &self.created {
            drop(fs::remove_file(path));
        }
        if self.created_folder {
            drop(fs::remove_dir(&self.folder));
        }
    }
}
