//! The client in browsers and edge workers.
//!
//! - `transport.rs` has a transport and a clock over `fetch` and timers. It is self-contained, so
//!   that you can copy it.
//! - `page.rs` has the functions that the script of the page calls.
//! - `conformance.rs` connects the transport with the conformance suite.
//!
//! The library is empty on other targets than `wasm32-unknown-unknown`.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

#[cfg(feature = "conformance")]
pub mod conformance;
mod page;
mod transport;

pub use page::Hive;
pub use transport::{FetchClock, FetchTransport};
