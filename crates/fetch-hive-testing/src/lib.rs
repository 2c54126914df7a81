#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod capture;
mod clock;
pub mod conformance;
mod exchange;
mod recording;
mod replay;
pub mod stores;

pub use capture::{Capture, NeverResponds};
pub use clock::PausedClock;
pub use exchange::Exchange;
pub use recording::{Recorder, RecordingError};
pub use replay::{Mismatch, Replay};
