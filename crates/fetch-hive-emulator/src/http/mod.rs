//! HTTP: connections, TLS, requests and responses.

pub(crate) mod access_log;
pub(crate) mod connections;
pub(crate) mod handler;
pub(crate) mod mask;
pub(crate) mod response;
pub(crate) mod script_body;
pub(crate) mod takeover;
pub(crate) mod tls;
