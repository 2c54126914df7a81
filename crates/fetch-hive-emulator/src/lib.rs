#![doc = include_str!("../README.md")]

mod callback;
mod chat;
mod deployment;
mod fault;
mod inbox;
mod operations;
mod record;
mod reply;
mod script;
mod server;
mod service;
mod tls;
mod workflow;

pub use deployment::{ConfigError, Deployment, read_deployments};
pub use fault::Fault;
pub use inbox::Inbox;
pub use operations::OPENAPI;
pub use record::{Delivery, RecordedRequest, RecordedRun};
pub use script::Script;
pub use server::{Connections, Emulator, EmulatorBuilder, StartError};
pub use tls::TlsError;

/// 32 hexadecimal digits that are not used twice. The standard library's hash keys are random.
fn random_hex() -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
