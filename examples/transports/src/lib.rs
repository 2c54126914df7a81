//! Example transports over other HTTP stacks than the included one. Each file is self-contained, so
//! that you can copy the one you need.
//!
//! | file | HTTP stack | limitations |
//! |---|---|---|
//! | `reqwest.rs` | reqwest | has one connect timeout per client, not per call |
//! | `isahc.rs` | isahc, which uses curl | does not end when dropped; its documentation lists more |
//! | `tower.rs` | any tower service | has the limitations of the service |
//! | `on_thread.rs` | any blocking transport, such as ureq, on a thread | does not end when dropped, and enforces the timeouts itself |
//! | `in_process.rs` | a function in this process | has no connections |
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
