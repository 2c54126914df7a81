use std::fmt;

use fetch_hive_core::types::{ApprovalFilter, ToolActionApproval};
use http::{HeaderMap, StatusCode};

use super::Client;
use super::block_on::block_on;
use crate::client::ApprovalStream;
use crate::error::Error;
use crate::stream::CollectedResponse;
use crate::{Event, StreamingEndpoint};

/// The events of a prompt or an agent, as they arrive: an iterator that blocks until the next one is there.
///
/// What is said of the [`EventStream`](crate::EventStream) of the async client holds for it. Dropping it gives the connection up.
#[must_use = "events are read when they are asked for"]
pub struct EventStream<E> {
    stream: crate::EventStream<E>,
    refused: bool,
}

impl<E: StreamingEndpoint> EventStream<E> {
    pub(super) fn new(stream: crate::EventStream<E>) -> Self {
        Self { stream, refused: false }
    }

    /// The pieces of the answer's text, as they arrive. Other events are passed over; errors are not.
    pub fn text(self) -> TextStream<E> {
        TextStream { text: self.stream.text(), refused: false }
    }

    /// Reads to the end, and puts the events together into the reply that comes without streaming.
    ///
    /// # Errors
    ///
    /// Where this thread must not block. How the stream ended is in the value.
    pub fn into_response(self) -> Result<CollectedResponse<E::Response>, Error> {
        Ok(block_on(self.stream.into_response())?)
    }
}

impl<E> EventStream<E> {
    /// The status of the reply.
    pub fn status(&self) -> StatusCode {
        self.stream.status()
    }

    /// The headers of the reply.
    pub fn headers(&self) -> &HeaderMap {
        self.stream.headers()
    }

    /// How many bytes of the stream have come so far, after decompression.
    pub fn received(&self) -> u64 {
        self.stream.received()
    }

    /// How often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.stream.attempts()
    }
}

impl<E: StreamingEndpoint> Iterator for EventStream<E> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(&mut self.refused, self.stream.next())
    }
}

/// Awaits an item. Where this thread must not block there is one error, and then the end, so that no loop goes on for ever.
fn wait<T>(refused: &mut bool, item: impl Future<Output = Option<Result<T, Error>>>) -> Option<Result<T, Error>> {
    match block_on(item) {
        Ok(item) => item,
        Err(_) if *refused => None,
        Err(invalid) => {
            *refused = true;
            Some(Err(invalid.into()))
        }
    }
}

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

/// The text of a stream, piece by piece.
#[derive(Debug)]
#[must_use = "text is read when it is asked for"]
pub struct TextStream<E> {
    text: crate::TextStream<E>,
    refused: bool,
}

impl<E: StreamingEndpoint> Iterator for TextStream<E> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(&mut self.refused, self.text.next())
    }
}

/// Approvals from all pages of a list. An error comes after everything that was fetched, and nothing comes after it.
#[derive(Debug)]
#[must_use = "nothing is fetched until it is asked for"]
pub struct Approvals {
    stream: ApprovalStream,
    refused: bool,
}

impl Iterator for Approvals {
    type Item = Result<ToolActionApproval, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(&mut self.refused, self.stream.next())
    }
}

impl crate::resources::Approvals<Client> {
    /// All approvals that a filter asks for, page after page, each fetched when it is needed.
    pub fn all(&self, filter: impl Into<ApprovalFilter>) -> Approvals {
        let client = self.client.client.clone();
        let stream = client.workspace(&self.workspace_id).approvals().all(filter);
        Approvals { stream, refused: false }
    }
}
