use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use fetch_hive_types::StreamEvent;

/// An event of a stream together with its JSON.
///
/// It dereferences to [`StreamEvent`]. `Debug` shows the typed event, and only the length of the
/// JSON.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The typed form of the event.
    pub event: StreamEvent,
    /// The JSON of the event, which may contain fields that the typed event does not have.
    ///
    /// It is a slice of the received bytes where possible.
    pub raw: Bytes,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("event", &self.event).field("raw_length", &self.raw.len()).finish()
    }
}

impl Deref for Event {
    type Target = StreamEvent;

    fn deref(&self) -> &StreamEvent {
        &self.event
    }
}
