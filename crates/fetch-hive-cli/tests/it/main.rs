//! Tests of the binary against the emulator.

mod callback;
mod guide;
mod history;
mod interactive;
mod keys;
mod mcp;
mod output;
mod secrets;
mod support;
