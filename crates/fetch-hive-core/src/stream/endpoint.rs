use fetch_hive_types::StreamEvent;
use http::Method;

use crate::{Auth, Body, Endpoint, InvalidInput, PathWriter, QueryWriter, Retry};

/// An operation whose response can be streamed as events.
pub trait StreamingEndpoint: Endpoint<Response: Default> {
    /// Creates the request body that asks for a stream.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the body cannot be serialized.
    fn streaming_body(&self) -> Result<Body, InvalidInput>;

    /// Adds an event to a response.
    ///
    /// After the last event, the response equals the response that the service returns without
    /// streaming.
    fn apply_event(response: &mut Self::Response, event: StreamEvent);
}

/// A request for the streamed response of an operation.
#[derive(Clone, Debug)]
pub struct Streaming<E>(pub E);

impl<E: StreamingEndpoint> Endpoint for Streaming<E> {
    type Response = E::Response;
    const NAME: &'static str = E::NAME;
    const METHOD: Method = E::METHOD;
    const PATH: &'static str = E::PATH;
    const RETRY: Retry = E::RETRY;
    const STARTS_RUN: bool = E::STARTS_RUN;
    const OCCUPIES_RUN_SLOT: bool = E::OCCUPIES_RUN_SLOT;
    const ACCEPT: &'static str = "text/event-stream";

    fn validate(&self) -> Result<(), InvalidInput> {
        self.0.validate()
    }

    fn path(&self, path: &mut PathWriter) {
        self.0.path(path);
    }

    fn query(&self, query: &mut QueryWriter) {
        self.0.query(query);
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        self.0.streaming_body()
    }

    fn auth(&self) -> Auth<'_> {
        self.0.auth()
    }

    fn callback_url(&self) -> Option<&str> {
        self.0.callback_url()
    }

    fn target(&self) -> Option<&str> {
        self.0.target()
    }
}
