use std::fmt;
use std::future::poll_fn;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{BoxError, RequestBody, ResponseBody, Transport, TransportError};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// A transport over a tower service with its layers, such as a client of hyper-util.
pub struct TowerTransport<S, B> {
    service: S,
    body: fn(Bytes) -> B,
    not_sent: fn(&BoxError) -> bool,
}

impl<S, B> TowerTransport<S, B> {
    /// Creates a transport that passes each request to a clone of the service.
    ///
    /// `body` converts the request body. `not_sent` returns whether an error proves that the
    /// request did not reach the service. If you are not sure, return `false`, because the client
    /// retries requests that were not sent.
    pub fn new(service: S, body: fn(Bytes) -> B, not_sent: fn(&BoxError) -> bool) -> Self {
        Self { service, body, not_sent }
    }
}

#[async_trait]
impl<S, In, Out> Transport for TowerTransport<S, In>
where
    S: Service<Request<In>, Response = Response<Out>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    In: Send + 'static,
    Out: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(TransportError::not_sent)?;
        let response = service.call(request.map(self.body)).await.map_err(|error| {
            let error = error.into();
            if (self.not_sent)(&error) { TransportError::not_sent(error) } else { TransportError::may_have_run(error) }
        })?;
        Ok(response.map(|body| ResponseBody::streaming(Box::pin(body))))
    }
}

impl<S, B> fmt::Debug for TowerTransport<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}
