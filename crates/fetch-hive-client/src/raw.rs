use bytes::Bytes;
use fetch_hive_core::types::{InvokeAgent, InvokePrompt, InvokeWorkflow};
use fetch_hive_core::{Endpoint, Operation, Retry, ApiResponse, parse_raw_response};

use crate::exchange::{Needs, exchange};
use crate::{Client, Error};

/// The name of a raw request in errors and traces.
const NAME: &str = "raw request";

impl Client {
    /// Sends a request that was put together by hand, for what this version does not know: its path is taken below the base URL, and it gets
    /// the key, the user agent, the client's timeouts and repeats like any other call. One that invokes a workflow, a prompt or an agent takes
    /// a place among the [`max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs).
    ///
    /// # Errors
    ///
    /// As any call; also when the URL is absolute and does not lead below the base URL: the key must not go there.
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use fetch_hive_client::Retry;
    ///
    /// let request = http::Request::get("/public/something/new").body(bytes::Bytes::new())?;
    /// let reply = client.call_raw(request, Retry::Idempotent).await?;
    /// println!("{} bytes", reply.len());
    /// # Ok(()) }
    /// ```
    pub async fn call_raw(&self, request: http::Request<Bytes>, repeat: Retry) -> Result<ApiResponse<Bytes>, Error> {
        let mut operation = Operation::raw(NAME, request.method().clone(), repeat);
        operation.occupies_run_slot = invokes(&request);
        let build = |key: Option<&_>| {
            let mut request = self.shared.api.complete(request.clone(), key)?;
            request.extensions_mut().insert(operation.clone());
            Ok(request)
        };
        let needs = Needs { key: true, stream: false };
        let (timeouts, policy) = (self.shared.timeouts, self.shared.policy);
        let done = exchange(&self.shared, &operation, timeouts, policy, needs, &build).await?;
        parse_raw_response(NAME, done.response)
            .map(|reply| reply.with_attempts(done.attempts, done.waited))
            .map_err(|error| Error::from_core(NAME, error).with_attempts(done.attempts, done.waited))
    }
}

/// Whether it is what the endpoints of runs send.
fn invokes(request: &http::Request<Bytes>) -> bool {
    let is = |method: http::Method, path: &str| *request.method() == method && request.uri().path().ends_with(path);
    is(InvokeWorkflow::METHOD, InvokeWorkflow::PATH)
        || is(InvokePrompt::METHOD, InvokePrompt::PATH)
        || is(InvokeAgent::METHOD, InvokeAgent::PATH)
}
