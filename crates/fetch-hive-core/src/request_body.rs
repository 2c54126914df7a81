use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fetch_hive_types::FileOnDisk;

use crate::InvalidInput;

/// The body of a request: bytes in memory, or pieces of which some are files.
///
/// A file is read while it is sent, so its size does not matter. Each attempt opens it again.
/// `Debug` shows the length, and never the content.
#[derive(Clone)]
pub struct RequestBody(Content);

#[derive(Clone)]
enum Content {
    Whole(Bytes),
    Pieces(Box<Pieces>),
}

#[derive(Clone, Default)]
struct Pieces {
    pieces: Vec<Piece>,
    on_progress: Option<Arc<ProgressHook>>,
}

#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Bytes),
    File(FileOnDisk),
}

type ProgressHook = dyn Fn(u64, u64) + Send + Sync;

impl RequestBody {
    pub(crate) fn pieces(pieces: Vec<Piece>) -> Self {
        Self(Content::Pieces(Box::new(Pieces { pieces, on_progress: None })))
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Content::Whole(bytes) => bytes.len() as u64,
            Content::Pieces(pieces) => pieces.len(),
        }
    }

    /// Returns whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of a body that is in memory as a whole, and `None` if it must be
    /// [read](Self::into_reader).
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Whole(bytes) => Some(bytes),
            Content::Pieces(_) => None,
        }
    }

    /// Returns the bytes of a body that is in memory as a whole, without copying them.
    ///
    /// # Errors
    ///
    /// Returns the body itself if it must be [read](Self::into_reader).
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Content::Whole(bytes) => Ok(bytes),
            Content::Pieces(_) => Err(self),
        }
    }

    /// Sets a function that is called with the number of bytes read so far and their total number
    /// while the body is read.
    #[must_use]
    pub fn on_progress(self, hook: Arc<dyn Fn(u64, u64) + Send + Sync>) -> Self {
        let mut pieces = match self.0 {
            Content::Whole(bytes) => Box::new(Pieces { pieces: vec![Piece::Bytes(bytes)], on_progress: None }),
            Content::Pieces(pieces) => pieces,
        };
        pieces.on_progress = Some(hook);
        Self(Content::Pieces(pieces))
    }

    /// Checks that each file exists and has not changed since it was added to the request.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `file`.
    pub fn check_files(&self) -> Result<(), InvalidInput> {
        let Content::Pieces(pieces) = &self.0 else { return Ok(()) };
        for piece in &pieces.pieces {
            if let Piece::File(file) = piece {
                open(file).map_err(|error| InvalidInput::new("file", error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Opens the files of the body for reading.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be opened, or has changed since it was added to the
    /// request.
    pub fn into_reader(self) -> io::Result<RequestBodyReader> {
        let total = self.len();
        let pieces = match self.0 {
            Content::Whole(bytes) => Pieces { pieces: vec![Piece::Bytes(bytes)], on_progress: None },
            Content::Pieces(pieces) => *pieces,
        };
        let open = |piece| match piece {
            Piece::Bytes(bytes) => Ok(OpenPiece::Bytes(bytes)),
            Piece::File(file) => Ok(OpenPiece::File { reader: open(&file)?, offset: 0, file }),
        };
        let open_pieces = pieces.pieces.into_iter().map(open).collect::<io::Result<_>>()?;
        let (on_progress, failure) = (pieces.on_progress, Arc::default());
        Ok(RequestBodyReader { pieces: open_pieces, on_progress, sent: 0, total, failure })
    }

    /// Reads the whole body into memory, and blocks while it reads a file.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or has changed since it was added to the request.
    pub fn into_bytes(self) -> io::Result<Bytes> {
        if let Content::Whole(bytes) = self.0 {
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        let mut reader = self.into_reader()?;
        while let Some(chunk) = reader.next_chunk(CHUNK_BYTES)? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }
}

/// The number of bytes that are read at a time, if the caller does not choose another number.
const CHUNK_BYTES: usize = 64 << 10;

impl Default for RequestBody {
    fn default() -> Self {
        Self(Content::Whole(Bytes::new()))
    }
}

impl<B: Into<Bytes>> From<B> for RequestBody {
    fn from(bytes: B) -> Self {
        Self(Content::Whole(bytes.into()))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes)", self.len())
    }
}

impl Pieces {
    fn len(&self) -> u64 {
        let len = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(file) => file.len,
        };
        self.pieces.iter().map(len).sum()
    }
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
        f.debug_struct("RequestBodyReader").field("sent", &self.sent).field("total", &self.total).finish()
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
    fn pieces_are_read_in_order_with_progress() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&seen);
        let body = RequestBody::pieces(vec![
            Piece::Bytes("abc".into()),
            Piece::Bytes(Bytes::new()),
            Piece::Bytes("defgh".into()),
        ])
        .on_progress(Arc::new(move |sent, total| hook.lock().unwrap().push((sent, total))));
        assert_eq!((body.len(), body.as_bytes()), (8, None));
        let mut reader = body.clone().into_reader().unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk(4).unwrap() {
            chunks.push(chunk);
        }
        assert_eq!(chunks, ["abc", "defg", "h"]);
        assert_eq!(*seen.lock().unwrap(), [(3, 8), (7, 8), (8, 8)]);
        assert_eq!(body.into_bytes().unwrap(), "abcdefgh");
    }
}
