use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::tls::TlsError;

/// Why an emulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on; another program may have it.
    #[error("cannot listen on {address}: {source}{}", taken(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] TlsError),
    /// The file of deployments cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of records cannot be used.
    #[cfg(feature = "store")]
    #[error(transparent)]
    Data(#[from] crate::journal::FileError),
    /// The client for callbacks could not be made.
    #[error("cannot set the delivery of callbacks up: {0}")]
    Delivery(#[from] rustls::Error),
}

/// What to do where another program has the address.
fn taken(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        "; another program listens there: stop it, or listen on another port (0 takes a free one)"
    } else {
        ""
    }
}
