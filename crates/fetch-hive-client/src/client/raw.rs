use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use bytes::Bytes;
use fetch_hive_core::types::{InvokeAgent, InvokePrompt, InvokeWorkflow};
use fetch_hive_core::{ApiResponse, Endpoint, InvalidInput, Operation, Retry, parse_raw_response};
use http::Method;
use http::header::CONTENT_ENCODING;

use super::Call;
use super::options::reserved;
use crate::error::{Error, ErrorKind};
use crate::execute::ResponseMode;

/// The name of a raw request in errors and traces.
const NAME: &str = "raw request";

/// A request that was built by hand, for [`Client::call_raw`](crate::Client::call_raw).
pub struct RawRequest {
    request: http::Request<Bytes>,
    retry: Retry,
}

impl fmt::Debug for RawRequest {
    /// Omits the query, the headers and the body, because they may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", self.request.method())
            .field("path", &self.request.uri().path())
            .field("body_length", &self.request.body().len())
            .field("retry", &self.retry)
            .finish()
    }
}

impl RawRequest {
    pub(crate) fn new(request: http::Request<Bytes>, retry: Retry) -> Self {
        Self { request, retry }
    }

    /// Returns whether the request occupies a run slot, as those of the endpoints that invoke a run
    /// do.
    fn occupies_run_slot(&self) -> bool {
        let is =
            |method: Method, path: &str| *self.request.method() == method && self.request.uri().path().ends_with(path);
        is(InvokeWorkflow::METHOD, InvokeWorkflow::PATH)
            || is(InvokePrompt::METHOD, InvokePrompt::PATH)
            || is(InvokeAgent::METHOD, InvokeAgent::PATH)
    }
}

impl<C> Call<RawRequest, C> {
    /// Sends the request, for either kind of client.
    pub(crate) async fn raw_response(self) -> Result<ApiResponse<Bytes>, Error> {
        let raw = self.request();
        // The caller may have compressed the body of a raw request.
        let mut names = raw.request.headers().keys().filter(|name| *name != CONTENT_ENCODING);
        if let Some((name, reason)) = names.find_map(|name| Some((name, reserved(name)?))) {
            let invalid = InvalidInput::new("header", format!("`{name}` cannot be set: {reason}"));
            return Err(Error::new(NAME, ErrorKind::Invalid(invalid)));
        }
        let mut operation = Operation::raw(NAME, raw.request.method().clone(), raw.retry);
        operation.occupies_run_slot = raw.occupies_run_slot();
        let build = |key: Option<&_>| {
            let mut request = self.client().shared.api.complete(raw.request.clone(), key)?;
            request.extensions_mut().insert(operation.clone());
            Ok(request)
        };
        let executed = self
            .execute(&operation, None, &self.options.timeouts_of(&operation), true, ResponseMode::Complete, &build)
            .await?;
        parse_raw_response(&operation, executed.response)
            .map(|response| response.with_attempts(executed.attempts, executed.waited))
            .map_err(|error| {
                Error::from_core(NAME, error)
                    .with_attempts(executed.attempts, executed.waited)
                    .with_operation(&operation)
            })
    }
}

impl IntoFuture for Call<RawRequest> {
    type Output = Result<ApiResponse<Bytes>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.raw_response())
    }
}
