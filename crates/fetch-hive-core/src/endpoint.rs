use fetch_hive_types::{TokenUsage, WebhookSecret};
use http::Method;
use serde::de::DeserializeOwned;

use crate::{Body, InvalidInput, PathWriter, QueryWriter};

/// An operation of the API, implemented by its request type.
///
/// The constants describe the operation, and the methods describe one request. Most methods have
/// defaults. Authentication, status checks and error parsing work alike for all operations, so they
/// are not part of this trait.
///
/// ```
/// use fetch_hive_core::{Endpoint, PathWriter, Retry};
/// use http::Method;
///
/// struct GetAgentName {
///     workspace_id: String,
///     id: String,
/// }
///
/// impl Endpoint for GetAgentName {
///     type Response = serde_json::Value;
///     const NAME: &'static str = "getAgentName";
///     const METHOD: Method = Method::GET;
///     const PATH: &'static str = "/public/workspaces/{workspace_id}/agents/{id}/name";
///     const RETRY: Retry = Retry::Idempotent;
///
///     fn path(&self, path: &mut PathWriter) {
///         path.id(&self.workspace_id).id(&self.id);
///     }
/// }
/// ```
pub trait Endpoint: Send + Sync {
    /// The type that a successful response is parsed into.
    type Response: DeserializeOwned + Send + 'static;

    /// The name of the operation in the OpenAPI document, such as `invokeWorkflow`.
    ///
    /// It appears in errors and traces.
    const NAME: &'static str;

    /// The HTTP method of the request.
    const METHOD: Method;

    /// The path below the base URL, with a `{name}` placeholder for each id.
    ///
    /// [`path`](Endpoint::path) fills the placeholders.
    const PATH: &'static str;

    /// The condition under which a request may be retried.
    ///
    /// Each operation declares it, because the method does not determine it: a search is a POST and
    /// can be retried, an invoke is a POST and may be charged again.
    const RETRY: Retry;

    /// Whether the operation starts a run, which may be charged although the call failed.
    ///
    /// The default is `true` for an operation that is not idempotent.
    const STARTS_RUN: bool = matches!(Self::RETRY, Retry::OnlyIfNotSent);

    /// Whether the operation occupies a concurrency slot of the plan until it returns.
    const OCCUPIES_RUN_SLOT: bool = false;

    /// The key under which the response body wraps the response, such as `agent` in
    /// `{"agent": {…}}`.
    ///
    /// A body without this key is parsed as the response itself.
    const ENVELOPE: Option<&'static str> = None;

    /// Whether an empty body is a valid response, which is then parsed as `{}`.
    const ALLOWS_EMPTY_BODY: bool = false;

    /// The media type sent in the `accept` header.
    const ACCEPT: &'static str = "application/json";

    /// Checks the request before it is sent.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`], which names the first invalid field.
    fn validate(&self) -> Result<(), InvalidInput> {
        Ok(())
    }

    /// Fills the placeholders of the [path](Endpoint::PATH) with ids, in order.
    fn path(&self, _path: &mut PathWriter) {}

    /// Writes the query string of the request.
    fn query(&self, _query: &mut QueryWriter) {}

    /// Creates the request body.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the body cannot be serialized.
    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty())
    }

    /// Returns the authentication method of the request.
    fn auth(&self) -> Auth<'_> {
        Auth::ApiKey
    }

    /// Returns the URL to which the service sends the callback of the run.
    ///
    /// [`Api`](crate::Api) rejects a URL that is not `https`, unless its host is a loopback host or
    /// [plain HTTP is allowed](crate::Api::allow_plain_http_callbacks).
    fn callback_url(&self) -> Option<&str> {
        None
    }

    /// Returns the deployment or the agent that the request runs, for hooks and traces.
    fn target(&self) -> Option<&str> {
        None
    }

    /// Returns the token usage that a response reports.
    fn usage(_response: &Self::Response) -> Option<&TokenUsage> {
        None
    }

    /// Returns the status of the run that a response reports, such as `completed`.
    fn run_status(_response: &Self::Response) -> Option<&str> {
        None
    }
}

/// The condition under which a request may be retried.
///
/// The [retry engine](crate::retry) applies it. The rules are in the
/// [contract](fetch_hive_types::contract#errors-and-limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The operation only reads, or has the same effect when it is performed twice.
    Idempotent,
    /// The operation may be charged or take effect each time, so it is retried only when the first
    /// request cannot have started it.
    OnlyIfNotSent,
}

/// The authentication method of a request, as described in the
/// [contract](fetch_hive_types::contract#authentication).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Auth<'a> {
    /// An API key, sent as a bearer token.
    ApiKey,
    /// No authentication. No API key is sent.
    None,
    /// A webhook secret, sent in the `X-Fetch-Hive-Webhook-Secret` header instead of an API key.
    WebhookSecret(&'a WebhookSecret),
}
