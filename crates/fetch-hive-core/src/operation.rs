use std::time::Duration;

use http::Method;

use crate::{Endpoint, Retry};

/// What a transport may know of a request beyond HTTP; in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The operation's name, such as `invokeWorkflow`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path with its placeholders, without ids: of few distinct values, as traces and metrics want it.
    pub path: &'static str,
    /// When it may be sent again.
    pub repeat: Retry,
    /// Whether it is answered when a run has ended: see [`Endpoint::OCCUPIES_RUN_SLOT`].
    pub runs: bool,
}

impl Operation {
    /// Describes an endpoint.
    pub fn of<E: Endpoint>() -> Self {
        Self { name: E::NAME, method: E::METHOD, path: E::PATH, repeat: E::RETRY, runs: E::OCCUPIES_RUN_SLOT }
    }

    /// Describes a request that was put together by hand; its path is not known to have few values, so it is left out.
    pub fn raw(name: &'static str, method: Method, repeat: Retry) -> Self {
        Self { name, method, path: "", repeat, runs: false }
    }
}

/// The timeouts of one attempt; in the request's extensions.
///
/// A client enforces them by dropping the attempt. A transport whose attempts cannot be dropped must enforce them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For name lookup, TCP and TLS together.
    pub connect: Option<Duration>,
    /// From the start of the attempt until the head of the reply is in.
    pub headers: Option<Duration>,
    /// Between two pieces of the reply's body.
    pub idle: Option<Duration>,
    /// What is left of the whole call, its body included.
    pub deadline: Option<Duration>,
}
