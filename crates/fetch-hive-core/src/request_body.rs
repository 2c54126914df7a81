use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fetch_hive_types::FileOnDisk;

/// The body of a request: bytes in memory, or pieces of which some are files.
///
/// This crate does no I/O. `RequestBodyReader` of the client reads a file while it is sent, so its
/// size does not matter, and each attempt opens it again. `Debug` shows the length, and never the
/// content.
#[derive(Clone)]
pub struct RequestBody(Content);

#[derive(Clone)]
enum Content {
    Whole(Bytes),
    Pieces(Box<Pieces>),
}

#[derive(Clone)]
struct Pieces {
    pieces: Vec<BodyPiece>,
    on_progress: Option<Arc<ProgressHook>>,
}

/// A piece of a [`RequestBody`].
#[derive(Clone)]
pub enum BodyPiece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A whole file.
    File(FileOnDisk),
}

/// A function that is called with the number of bytes sent so far and their total number.
pub type ProgressHook = dyn Fn(u64, u64) + Send + Sync;

impl RequestBody {
    pub(crate) fn pieces(pieces: Vec<BodyPiece>) -> Self {
        Self(Content::Pieces(Box::new(Pieces { pieces, on_progress: None })))
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Content::Whole(bytes) => bytes.len() as u64,
            Content::Pieces(pieces) => pieces.pieces.iter().map(BodyPiece::len).sum(),
        }
    }

    /// Returns whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of a body that is in memory as a whole, and `None` for one in pieces.
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
    /// Returns the body itself if it consists of pieces.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Content::Whole(bytes) => Ok(bytes),
            Content::Pieces(_) => Err(self),
        }
    }

    /// Returns the pieces of the body in order, and the function that is called while they are
    /// sent.
    pub fn into_pieces(self) -> (Vec<BodyPiece>, Option<Arc<ProgressHook>>) {
        match self.0 {
            Content::Whole(bytes) => (vec![BodyPiece::Bytes(bytes)], None),
            Content::Pieces(pieces) => (pieces.pieces, pieces.on_progress),
        }
    }

    /// Sets a function that is called while the body is sent.
    #[must_use]
    pub fn on_progress(self, hook: Arc<ProgressHook>) -> Self {
        let (pieces, _) = self.into_pieces();
        Self(Content::Pieces(Box::new(Pieces { pieces, on_progress: Some(hook) })))
    }

    /// Returns the files of the body.
    pub fn files(&self) -> impl Iterator<Item = &FileOnDisk> {
        let pieces = match &self.0 {
            Content::Whole(_) => &[][..],
            Content::Pieces(pieces) => &pieces.pieces,
        };
        pieces.iter().filter_map(|piece| match piece {
            BodyPiece::Bytes(_) => None,
            BodyPiece::File(file) => Some(file),
        })
    }
}

impl BodyPiece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.len,
        }
    }
}

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

impl fmt::Debug for BodyPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyPiece({} bytes)", self.len())
    }
}
