use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fetch_hive_core::types::FileOnDisk;
use fetch_hive_core::{BodyPiece, InvalidInput, ProgressHook, RequestBody};

use crate::error::TransportError;

/// The number of bytes that are read at a time into a buffer in memory.
const CHUNK_BYTES: usize = 64 << 10;

/// Checks that each file of a body exists and has not changed since it was added to the request.
pub(crate) fn check_files(body: &RequestBody) -> Result<(), InvalidInput> {
    for file in body.files() {
        open(file).map_err(|error| InvalidInput::new("file", error.to_string()))?;
    }
    Ok(())
}

/// Reads the whole body of a request into memory, for a transport that cannot read it while it is
/// sent. It blocks while it reads a file.
///
/// # Errors
///
/// Returns [`TransportError::not_sent`] if a file cannot be read, or has changed since it was added
/// to the request.
pub fn buffer_request(request: http::Request<RequestBody>) -> Result<http::Request<Bytes>, TransportError> {
    let (parts, body) = request.into_parts();
    let bytes = match body.into_whole() {
        Ok(bytes) => bytes,
        Err(body) => read_all(body).map_err(TransportError::not_sent)?,
    };
    Ok(http::Request::from_parts(parts, bytes))
}

fn read_all(body: RequestBody) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(body.len()).unwrap_or_default());
    let mut reader = RequestBodyReader::open(body)?;
    while let Some(chunk) = reader.next_chunk(CHUNK_BYTES)? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// A reader of a [`RequestBody`], which blocks while it reads a file.
///
/// If a file changes while it is read, reading fails before the last byte of the file is returned.
pub struct RequestBodyReader {
    pieces: VecDeque<OpenPiece>,
    on_progress: Option<Arc<ProgressHook>>,
    sent: u64,
    total: u64,
    failure: Arc<OnceLock<FileError>>,
}

enum OpenPiece {
    Bytes(Bytes),
    File { reader: File, offset: u64, file: FileOnDisk },
}

impl RequestBodyReader {
    /// Opens the files of a body for reading.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be opened, or has changed since it was added to the
    /// request.
    pub fn open(body: RequestBody) -> io::Result<Self> {
        let total = body.len();
        let (pieces, on_progress) = body.into_pieces();
        let open = |piece| match piece {
            BodyPiece::Bytes(bytes) => Ok(OpenPiece::Bytes(bytes)),
            BodyPiece::File(file) => Ok(OpenPiece::File { reader: open(&file)?, offset: 0, file }),
        };
        let pieces = pieces.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { pieces, on_progress, sent: 0, total, failure: Arc::default() })
    }

    /// Returns the number of bytes that are not read yet.
    pub fn remaining(&self) -> u64 {
        self.total - self.sent
    }

    /// Returns a cell that contains the error of a file once reading has failed, because some HTTP
    /// stacks do not return the error of a request body.
    pub fn failure(&self) -> Arc<OnceLock<FileError>> {
        Arc::clone(&self.failure)
    }

    /// Returns whether the next chunk is in memory, so that reading it does not block.
    pub fn next_is_in_memory(&self) -> bool {
        !matches!(self.pieces.front(), Some(OpenPiece::File { .. }))
    }

    /// Returns the next chunk of at most `max_bytes` bytes, or `None` after the last one.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or has changed since it was added to the request.
    pub fn next_chunk(&mut self, max_bytes: usize) -> io::Result<Option<Bytes>> {
        let chunk = self.read_chunk(max_bytes);
        if let Some(error) = chunk.as_ref().err().and_then(|error| error.get_ref()?.downcast_ref::<FileError>()) {
            let _ = self.failure.set(error.clone());
        }
        chunk
    }

    fn read_chunk(&mut self, max_bytes: usize) -> io::Result<Option<Bytes>> {
        while let Some(piece) = self.pieces.front_mut() {
            let (chunk, is_over) = match piece {
                OpenPiece::Bytes(bytes) => (bytes.split_to(bytes.len().min(max_bytes)), bytes.is_empty()),
                OpenPiece::File { reader, offset, file } => {
                    let wanted = (file.len - *offset).min(max_bytes as u64);
                    let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
                    reader.by_ref().take(wanted).read_to_end(&mut chunk).map_err(|error| unreadable(file, &error))?;
                    *offset += chunk.len() as u64;
                    let is_over = *offset == file.len;
                    if is_over || (chunk.len() as u64) < wanted {
                        check(reader, file)?;
                    }
                    if (chunk.len() as u64) < wanted {
                        return Err(changed(file));
                    }
                    (chunk.into(), is_over)
                }
            };
            if is_over {
                self.pieces.pop_front();
            }
            if chunk.is_empty() {
                continue;
            }
            self.sent += chunk.len() as u64;
            if let Some(hook) = &self.on_progress {
                hook(self.sent, self.total);
            }
            return Ok(Some(chunk));
        }
        Ok(None)
    }
}

impl Read for RequestBodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(chunk) = self.next_chunk(into.len())? else { return Ok(0) };
        into[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

impl fmt::Debug for RequestBodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyReader")
            .field("sent", &self.sent)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

fn open(file: &FileOnDisk) -> io::Result<File> {
    let reader = File::open(&file.path).map_err(|error| unreadable(file, &error))?;
    check(&reader, file)?;
    Ok(reader)
}

/// Returns an error if a file is not as it was when it was added to the request.
fn check(reader: &File, file: &FileOnDisk) -> io::Result<()> {
    let metadata = reader.metadata().map_err(|error| unreadable(file, &error))?;
    let is_same = metadata.is_file() && metadata.len() == file.len && metadata.modified().ok() == file.modified;
    if is_same { Ok(()) } else { Err(changed(file)) }
}

/// An error that occurs when a file of a [`RequestBody`] cannot be read, or has changed since it
/// was added to the request.
///
/// The reader returns it inside of an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {reason}", path.display())]
pub struct FileError {
    path: PathBuf,
    reason: String,
}

fn unreadable(file: &FileOnDisk, error: &io::Error) -> io::Error {
    let reason = format!("cannot be read: {error}");
    io::Error::new(error.kind(), FileError { path: file.path.clone(), reason })
}

fn changed(file: &FileOnDisk) -> io::Error {
    let reason = "changed after it was added to the request; add it again and send it anew".to_owned();
    io::Error::other(FileError { path: file.path.clone(), reason })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn body_is_read_in_chunks_with_progress() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&seen);
        let body = RequestBody::from("abcdefgh")
            .on_progress(Arc::new(move |sent, total| hook.lock().unwrap().push((sent, total))));
        assert_eq!((body.len(), body.as_bytes()), (8, None));
        let mut reader = RequestBodyReader::open(body.clone()).unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk(4).unwrap() {
            chunks.push(chunk);
        }
        assert_eq!(chunks, ["abcd", "efgh"]);
        assert_eq!(*seen.lock().unwrap(), [(4, 8), (8, 8)]);
        assert_eq!(read_all(body).unwrap(), "abcdefgh");
    }
}
