//! Example transports over other HTTP stacks than the included one. Each file is self-contained, so
//! that you can copy the one you need.
//!
//! - `reqwest.rs` uses reqwest, which has one connect timeout per client, not per call.
//! - `isahc.rs` uses isahc, which uses curl. Its documentation lists its limitations.
//! - `tower.rs` uses any tower service.
//! - `on_thread.rs` runs any blocking transport, such as ureq, on a thread. It does not end when it
//!   is dropped, and enforces the timeouts itself.
//! - `in_process.rs` calls a function in this process and has no connections.
//!
//! The package in `fetch` has a transport over `fetch`, for browsers and edge workers.
//!
//! `examples/on_smol.rs` runs the client on smol, with its own transport and clock.

mod in_process;
mod isahc;
mod on_thread;
mod reqwest;
mod tower;

pub use in_process::InProcess;
pub use isahc::IsahcTransport;
pub use on_thread::OnThread;
pub use reqwest::ReqwestTransport;
pub use tower::TowerTransport;
