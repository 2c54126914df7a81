//! Recordings of real exchanges: JSON Lines files with one exchange per line.

mod compare;
mod format;
mod reader;
mod recorder;
mod redact;

pub use reader::RecordingError;
pub(crate) use reader::read;
pub use recorder::Recorder;
