//! Streamed responses of prompts and agents: typed events over the [decoder](crate::sse).
//!
//! An [`EventReader`] turns bytes into events and reports whether the stream was complete, as
//! described in the [contract](fetch_hive_types::contract#streams).

mod endpoint;
mod error;
mod event;
mod event_reader;

pub use endpoint::{Streaming, StreamingEndpoint};
pub use error::StreamError;
pub use event::Event;
pub use event_reader::EventReader;
