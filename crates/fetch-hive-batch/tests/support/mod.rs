//! Files for the tests.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fetch_hive_batch::{Error, ReadOptions, Row, Rows};
use serde_json::Value;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed at the end of a test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fetch-hive-batch-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Returns the names of the files and folders in this folder.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Reads the content of a file with the given name.
pub fn read(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<(Vec<String>, Vec<Row>), Error> {
    let folder = Folder::new();
    let rows = options.open(folder.write(name, content))?;
    let header = rows.header().names().to_vec();
    Ok((header, rows.collect::<Result<_, _>>()?))
}

/// Reads rows as text, with the header as the first row.
pub fn texts(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Vec<Vec<String>> {
    let (header, rows) = read(name, content, options).unwrap();
    let rows = rows.iter().map(|row| (0..row.len()).map(|cell| text(row.get(cell).unwrap())).collect());
    std::iter::once(header).chain(rows).collect()
}

pub fn csv(content: impl AsRef<[u8]>) -> Vec<Vec<String>> {
    texts("a.csv", content, &ReadOptions::new())
}

/// Returns the message of the error that a file causes.
pub fn error(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let error = read(name, content, options).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error:?}");
    error.to_string()
}

pub fn csv_error(content: impl AsRef<[u8]>) -> String {
    error("a.csv", content, &ReadOptions::new())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Opens a file and reads all rows.
pub fn open(path: &Path) -> (Rows, Vec<Row>) {
    let mut rows = Rows::open(path).unwrap();
    let all = rows.by_ref().collect::<Result<_, _>>().unwrap();
    (rows, all)
}
