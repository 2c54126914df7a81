use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fetch_hive_core::RequestBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::transport::request_body::{FileError, RequestBodyReader};

/// The largest number of bytes that are read from a file at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The body of a request for hyper: bytes in memory, or a file that is read on the blocking threads
/// of the runtime.
pub(super) enum SendBody {
    Whole(Full<Bytes>),
    Read(Box<ReadBody>),
}

pub(super) struct ReadBody {
    state: State,
    remaining: u64,
}

enum State {
    Idle(RequestBodyReader),
    Reading(JoinHandle<ReadResult>),
    Ended,
}

/// The reader and the chunk that it has read.
type ReadResult = (RequestBodyReader, io::Result<Option<Bytes>>);

impl SendBody {
    /// Opens the files of a body.
    ///
    /// Returns the body and a cell for the error of a file, which hyper loses over HTTP/2.
    pub(super) fn new(body: RequestBody) -> io::Result<(Self, Option<Arc<OnceLock<FileError>>>)> {
        let reader = match body.into_whole() {
            Ok(bytes) => return Ok((Self::Whole(Full::new(bytes)), None)),
            Err(body) => RequestBodyReader::open(body)?,
        };
        let (remaining, failure) = (reader.remaining(), reader.failure());
        Ok((Self::Read(Box::new(ReadBody { state: State::Idle(reader), remaining })), Some(failure)))
    }
}

impl ReadBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let (reader, chunk) = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(Ok(None)),
                State::Idle(mut reader) if reader.next_is_in_memory() => {
                    let chunk = reader.next_chunk(CHUNK_BYTES);
                    (reader, chunk)
                }
                State::Idle(mut reader) => {
                    self.state = State::Reading(spawn_blocking(move || {
                        let chunk = reader.next_chunk(CHUNK_BYTES);
                        (reader, chunk)
                    }));
                    continue;
                }
                State::Reading(mut reading) => match Pin::new(&mut reading).poll(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => read.map_err(io::Error::other)?,
                },
            };
            let chunk = chunk?;
            if let Some(chunk) = &chunk {
                self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
                self.state = State::Idle(reader);
            }
            return Poll::Ready(Ok(chunk));
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Read(body) => {
                Poll::Ready(ready!(body.poll_chunk(cx)).map(|chunk| chunk.map(Frame::data)).transpose())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Read(body) => body.remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Read(body) => SizeHint::with_exact(body.remaining),
        }
    }
}
