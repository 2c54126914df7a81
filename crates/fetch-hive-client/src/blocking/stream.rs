use std::fmt;

use http::{HeaderMap, StatusCode};

use super::block_on::block_on;
use crate::error::Error;
use crate::stream::CollectedResponse;
use crate::{Event, StreamingEndpoint};

/// An iterator of the events of a streamed prompt or agent, which blocks until the next event
/// arrives.
///
/// It reports the same events and errors as the [`EventStream`](crate::EventStream) of the async
/// client. Dropping it closes the connection.
#[must_use = "events are read when `next` is called"]
pub struct EventStream<E> {
    stream: crate::EventStream<E>,
    rejected: bool,
}

impl<E: StreamingEndpoint> EventStream<E> {
    pub(super) fn new(stream: crate::EventStream<E>) -> Self {
        Self { stream, rejected: false }
    }

    /// Returns an iterator of the text of the response. Other events are skipped, but errors are
    /// not.
    pub fn text(self) -> TextStream<E> {
        TextStream { text: self.stream.text(), rejected: false }
    }

    /// Reads the stream to its end, and collects the events into the response that the call returns
    /// without streaming.
    ///
    /// # Errors
    ///
    /// Returns an error on a thread that must not block. An error of the stream is in the returned
    /// value instead.
    pub fn into_response(self) -> Result<CollectedResponse<E::Response>, Error> {
        Ok(block_on(self.stream.into_response())?)
    }
}

impl<E> EventStream<E> {
    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.stream.status()
    }

    /// Returns the headers of the response.
    pub fn headers(&self) -> &HeaderMap {
        self.stream.headers()
    }

    /// Returns the number of bytes of the stream received so far, after decompression.
    pub fn received(&self) -> u64 {
        self.stream.received()
    }

    /// Returns the number of attempts that were sent.
    pub fn attempts(&self) -> u32 {
        self.stream.attempts()
    }
}

impl<E: StreamingEndpoint> Iterator for EventStream<E> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_item(&mut self.rejected, self.stream.next())
    }
}

/// Blocks until the next item. On a thread that must not block, it returns one error and then ends,
/// so that no loop is endless.
pub(super) fn next_item<T>(
    rejected: &mut bool,
    item: impl Future<Output = Option<Result<T, Error>>>,
) -> Option<Result<T, Error>> {
    match block_on(item) {
        Ok(item) => item,
        Err(_) if *rejected => None,
        Err(invalid) => {
            *rejected = true;
            Some(Err(invalid.into()))
        }
    }
}

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

/// An iterator of the text of a streamed response.
#[derive(Debug)]
#[must_use = "text is read when `next` is called"]
pub struct TextStream<E> {
    text: crate::TextStream<E>,
    rejected: bool,
}

impl<E: StreamingEndpoint> Iterator for TextStream<E> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_item(&mut self.rejected, self.text.next())
    }
}
