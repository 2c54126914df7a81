use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::{RequestBody, ResponseBody, Timeout, Transport, TransportError};
use http::{Request, Response};

/// A transport over reqwest.
///
/// Reqwest may reuse a connection that the server has just closed. The call then fails with an
/// error that reports that it may have run. The included transport checks a connection before each
/// use and opens a new one instead.
#[derive(Debug)]
pub struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    /// Creates a transport with a connect timeout, which applies to all calls.
    ///
    /// # Errors
    ///
    /// Returns an error if reqwest cannot initialize TLS.
    pub fn new(connect_timeout: Duration) -> Result<Self, reqwest::Error> {
        Self::from_builder(reqwest::Client::builder().connect_timeout(connect_timeout))
    }

    /// Creates a transport from a builder. Redirects and retries are disabled, as the contract of a
    /// transport requires.
    ///
    /// # Errors
    ///
    /// Returns an error if reqwest rejects the configuration.
    pub fn from_builder(builder: reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        let never = reqwest::retry::never();
        Ok(Self(builder.redirect(reqwest::redirect::Policy::none()).retry(never).build()?))
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        let request = reqwest::Request::try_from(request).map_err(TransportError::not_sent)?;
        let response =
            self.0.execute(request).await.map_err(|error| match (error.is_connect(), error.is_timeout()) {
                (true, true) => TransportError::timeout(Timeout::Connect),
                (true, false) => TransportError::not_sent(error),
                _ => TransportError::may_have_run(error),
            })?;
        Ok(Response::<reqwest::Body>::from(response).map(ResponseBody::streaming))
    }
}
