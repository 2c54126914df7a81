use std::net::SocketAddr;

use crate::config::file::ConfigError;
use crate::faults::error::FaultError;
use crate::http::tls::TlsError;

/// An error that occurs when an emulator cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The emulator could not listen on the address, for example because another program uses it.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Listen {
        /// The address that was to be listened on.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The TLS certificate could not be created.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// A fault of the builder can never apply.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The configuration file could not be read, or it is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data file could not be opened or read.
    #[cfg(feature = "store")]
    #[error(transparent)]
    Data(#[from] crate::state::journal::DataFileError),
    /// The HTTP client that delivers callbacks could not be created.
    #[error("cannot create the HTTP client for callbacks: {0}")]
    Delivery(#[from] rustls::Error),
}

fn advice(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        "; stop the other program, or listen on another port (port 0 selects a free one)"
    } else {
        ""
    }
}
