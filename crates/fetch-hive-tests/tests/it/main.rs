//! Tests that need the client and the emulator together, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod batch;
mod blocking;
mod blocking_callbacks;
mod call_setters;
mod configuration;
mod conformance;
mod connections;
mod credentials;
mod emulator;
mod error_responses;
mod lenient_reading;
mod networks;
mod official_bodies;
mod operations;
mod pagination_and_raw;
mod pending_runs;
mod poll_run;
mod receiver;
mod redaction;
mod reports;
mod response_edges;
mod restart;
mod run_limit;
mod stores;
mod streams;
mod testing;
mod tls;
mod uploads;
mod workflow;
