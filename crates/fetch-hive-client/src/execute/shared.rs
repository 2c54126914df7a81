use std::sync::Arc;

use fetch_hive_core::{Api, Endpoint};

use super::report::{AttemptHook, CallHook, RunHook, UsageHook};
use super::run_limiter::RunLimiter;
use super::span::Server;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind};
use crate::transport::Transport;

/// The configuration that the clones of a client share.
pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) credentials: Credentials,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_response_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_error_bytes: usize,
    pub(crate) run_limiter: Option<Arc<dyn RunLimiter>>,
    pub(crate) server: Server,
    pub(crate) on_usage: Option<UsageHook>,
    pub(crate) on_attempt: Option<AttemptHook>,
    pub(crate) on_call: Option<CallHook>,
    pub(crate) on_run: Option<RunHook>,
}

impl Shared {
    /// Reports invalid input of a request.
    pub(crate) fn validate<E: Endpoint>(&self, request: &E) -> Result<(), Error> {
        self.api.validate(request).map_err(|invalid| Error::new(E::NAME, ErrorKind::Invalid(invalid)))
    }
}
