//! Tests of the binary against the emulator.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "also in the helpers of the tests")]

mod batch;
mod callback;
mod guide;
mod history;
mod interactive;
#[cfg(all(target_os = "linux", feature = "keyring"))]
mod keyring;
mod keys;
mod mcp;
mod mistakes;
mod output;
mod secrets;
mod support;
