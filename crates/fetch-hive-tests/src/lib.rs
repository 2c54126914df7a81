//! Tests of the client against the emulator and against scripted servers, over real sockets.

mod scripted;

pub use scripted::{Scripted, Step};
