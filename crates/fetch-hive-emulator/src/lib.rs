#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod agents;
mod approvals;
mod assets;
mod builder;
mod call;
mod callback;
mod callback_fault;
mod catalog;
mod chat;
mod config;
mod connections;
mod delegations;
mod deployment;
mod emulator;
#[cfg(feature = "page")]
mod exchange;
mod fault;
mod fault_words;
mod faults;
mod handler;
mod inbox;
#[cfg(feature = "store")]
mod journal;
mod knowledge;
mod look;
mod moment;
mod operations;
mod plan;
mod record;
mod reply;
mod resources;
mod run;
mod script;
mod search;
mod service;
mod start_error;
mod store;
mod tls;
mod trigger;
mod turn;
#[cfg(feature = "page")]
mod viewer;
mod wire;
mod workflow;

pub use builder::EmulatorBuilder;
pub use config::{ConfigError, read_deployments};
pub use deployment::Deployment;
pub use emulator::{Connections, Emulator};
pub use fault::Fault;
pub use fault_words::FaultError;
pub use handler::Handler;
pub use inbox::Inbox;
#[cfg(feature = "store")]
pub use journal::FileError;
pub use operations::OPENAPI;
pub use plan::Plan;
pub use record::{Delivery, RecordedRequest, RecordedRun};
pub use script::Script;
pub use start_error::StartError;
pub use tls::TlsError;

/// The workspace of what is declared without one.
pub const DEFAULT_WORKSPACE: &str = "00000000-0000-4000-8000-000000000001";

/// 32 hexadecimal digits that are not used twice. The standard library's hash keys are random.
fn random_hex() -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
