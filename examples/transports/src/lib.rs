//! Transports over other HTTP stacks than the one that is included. Each file stands for itself: copy the one you need.
//!
//! | file | HTTP stack | what it cannot do |
//! |---|---|---|
//! | `reqwest.rs` | reqwest | a connect limit for each call: reqwest has one for each client |
//! | `isahc.rs` | isahc, which is curl | end when it is dropped, and more: see there |
//! | `tower.rs` | any tower service | what the service cannot |
//! | `on_thread.rs` | any blocking one, such as ureq, on a thread | end when it is dropped: it keeps the limits itself |
//! | `in_process.rs` | none: a function that answers | lose a connection |
//!
//! `examples/on_smol.rs` runs the client on smol, with a transport and a clock of its own.

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
