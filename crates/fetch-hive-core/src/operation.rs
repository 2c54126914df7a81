use http::Method;

use crate::{Endpoint, Retry};

/// A description of the operation that a request performs.
///
/// The request carries it in its extensions, so that transports and telemetry can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The name of the operation, such as `invokeWorkflow`.
    pub name: &'static str,
    /// The HTTP method of the request.
    pub method: Method,
    /// The path with its placeholders instead of ids.
    ///
    /// It has few distinct values, so it is suitable as a label of traces and metrics. It is empty
    /// for raw requests.
    pub path: &'static str,
    /// The condition under which the request may be retried.
    pub retry: Retry,
    /// Whether the operation starts a run.
    ///
    /// See [`Endpoint::STARTS_RUN`].
    pub starts_run: bool,
    /// Whether the operation occupies a concurrency slot of the plan until it returns.
    ///
    /// See [`Endpoint::OCCUPIES_RUN_SLOT`].
    pub occupies_run_slot: bool,
}

impl Operation {
    /// Creates the description of an endpoint.
    pub fn of<E: Endpoint>() -> Self {
        Self {
            name: E::NAME,
            method: E::METHOD,
            path: E::PATH,
            retry: E::RETRY,
            starts_run: E::STARTS_RUN,
            occupies_run_slot: E::OCCUPIES_RUN_SLOT,
        }
    }

    /// Creates the description of a request that was built without an [`Endpoint`].
    ///
    /// It counts as an operation that starts a run, unless it is idempotent. Its `path` is empty,
    /// because the path of such a request may contain ids.
    pub fn raw(name: &'static str, method: Method, retry: Retry) -> Self {
        let starts_run = retry == Retry::OnlyIfNotSent;
        Self { name, method, path: "", retry, starts_run, occupies_run_slot: false }
    }
}
