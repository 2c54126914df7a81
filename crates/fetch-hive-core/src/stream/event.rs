use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use fetch_hive_types::StreamEvent;

use crate::UnreadableField;

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
    /// The fields of the JSON that could not be read and are absent from the typed event.
    pub unreadable: Vec<UnreadableField>,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event", &self.event)
            .field("raw_length", &self.raw.len())
            .field("unreadable", &self.unreadable)
            .finish()
    }
}

impl Deref for Event {
    type Target = StreamEvent;

    fn deref(&self) -> &StreamEvent {
        &self.event
    }
}
