#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod callbacks;
mod config;
mod control;
mod emulator;
mod error;
mod faults;
mod http;
mod operations;
#[cfg(feature = "page")]
mod page;
mod router;
mod state;

pub use crate::callbacks::receiver::CallbackReceiver;
pub use crate::config::builder::EmulatorBuilder;
pub use crate::config::deployment::{DEFAULT_WORKSPACE, Deployment};
pub use crate::config::file::{ConfigError, read_deployments};
pub use crate::config::script::Script;
pub use crate::emulator::{Connections, Emulator};
pub use crate::error::StartError;
pub use crate::faults::error::FaultError;
pub use crate::faults::fault::Fault;
pub use crate::http::handler::Handler;
pub use crate::http::tls::TlsError;
pub use crate::operations::table::OPENAPI;
#[cfg(feature = "store")]
pub use crate::state::journal::DataFileError;
pub use crate::state::plan::Plan;
pub use crate::state::recorded::{Delivery, RecordedRequest, RecordedRun};

/// The format of the configuration file and of faults, as the help of the command describes it.
pub const FORMAT_HELP: &str = include_str!("format.txt");
