//! Tests of the client against the emulator and against scripted servers, over real sockets.

pub mod faults;
mod receiving;
mod scripted;
pub mod stack;

pub use receiving::{Listening, Receiving};
pub use scripted::{Scripted, Step};

/// The programs of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
