//! Forwards a callback to a local server.

use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::core::RequestBody;
use fetch_hive_client::{BoxError, HyperTransport, Transport as _};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, Uri};

use crate::failure::{Failure, Result};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the server that receives the callbacks.
pub(super) struct Forward {
    transport: HyperTransport,
    url: Uri,
}

impl Forward {
    pub(super) fn new(url: Uri) -> Result<Self> {
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(Failure::usage(format!("--forward-to {url} is not a URL"))
                .next("pass a URL such as http://localhost:3000/hooks"));
        }
        Ok(Self { transport: HyperTransport::builder().build()?, url })
    }

    /// Sends a callback with its signature. Any status other than 2xx is an error.
    pub(super) async fn send(&self, headers: &HeaderMap, body: &Bytes) -> std::result::Result<(), BoxError> {
        let mut request = Request::new(RequestBody::from(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let copied = |name: &str| name == CONTENT_TYPE.as_str() || name.starts_with("x-fetch-hive-");
        for (name, value) in headers.iter().filter(|(name, _)| copied(name.as_str())) {
            request.headers_mut().append(name, value.clone());
        }
        let sent = tokio::time::timeout(TIMEOUT, self.transport.send(request)).await;
        let failed = |reason: String| format!("forwarding to {} failed: {reason}", self.url);
        let response = sent
            .map_err(|_| failed(format!("no response within {} s", TIMEOUT.as_secs())))?
            .map_err(|error| failed(crate::failure::chain(&error)))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(failed(format!("status {status}")).into()) }
    }
}
