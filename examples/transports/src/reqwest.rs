use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{ResponseBody, Timeout, Transport, TransportError};
use http::{Request, Response};

/// Sends by reqwest.
///
/// It may take a kept connection whose end has come and was not read yet. The call then ends with an error that says that it may have run,
/// where the included transport, which looks once more, makes a new connection.
#[derive(Debug)]
pub struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    /// A transport whose connections are made within a limit: reqwest has one for each client, not for each request.
    ///
    /// # Errors
    ///
    /// When reqwest cannot set TLS up.
    pub fn new(connect: Duration) -> Result<Self, reqwest::Error> {
        Self::with(reqwest::Client::builder().connect_timeout(connect))
    }

    /// A transport with a configuration of your own; what the contract of a transport demands is set here.
    ///
    /// # Errors
    ///
    /// When reqwest refuses the configuration.
    pub fn with(builder: reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        let never = reqwest::retry::never();
        Ok(Self(builder.redirect(reqwest::redirect::Policy::none()).retry(never).build()?))
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
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
