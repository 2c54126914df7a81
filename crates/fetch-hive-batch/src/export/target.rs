use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fetch_hive_types::EscapedLine;

use crate::Error;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A temporary file in the same directory as the path that it will be renamed to.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    temporary: PathBuf,
    published: bool,
}

impl Target {
    pub(super) fn create(path: &Path) -> Result<(Self, File), Error> {
        let Some(name) = path.file_name() else {
            return Err(Error::output(path, "has no file name; choose a file"));
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}.{}-{number}.tmp", name.to_string_lossy(), std::process::id());
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(Error::io("create", &temporary))?;
        Ok((Self { path: path.to_owned(), temporary, published: false }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file and returns its path. If renaming fails, the file gets another name, and
    /// the returned warning contains both names.
    pub(super) fn publish(mut self) -> (PathBuf, Option<String>) {
        let Err(error) = fs::rename(&self.temporary, &self.path) else {
            self.published = true;
            return (self.path.clone(), None);
        };
        // From here on, the temporary file is kept, even if it cannot be renamed at all.
        self.published = true;
        let path = self.rename_to_free_name().unwrap_or_else(|| self.temporary.clone());
        let warning = format!(
            "{} cannot be replaced ({error}); the results are in {}; close the file in other programs and rename it",
            EscapedLine(self.path.display()),
            EscapedLine(path.display()),
        );
        (path, Some(warning))
    }

    fn rename_to_free_name(&self) -> Option<PathBuf> {
        let stem = self.path.file_stem()?.to_string_lossy();
        let extension = self.path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
        for number in 1..1000 {
            let path = self.path.with_file_name(format!("{stem} ({number}){extension}"));
            // Creating the file reserves its name, so no other file is replaced.
            if OpenOptions::new().write(true).create_new(true).open(&path).is_ok() {
                return fs::rename(&self.temporary, &path).is_ok().then_some(path);
            }
        }
        None
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            drop(fs::remove_file(&self.temporary));
        }
    }
}
