use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{BoxError, RequestBody, ResponseBody, Transport, TransportError};
use http::{Request, Response};
use http_body::Body;

/// A transport that passes each request to a function in this process, such as a router or a fake
/// service in a test. It uses no sockets.
///
/// Dropping a call drops the future of the function. Dropping a stream drops the response body.
#[derive(Clone)]
pub struct InProcess<H>(pub H);

#[async_trait]
impl<H, F, B> Transport for InProcess<H>
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        Ok((self.0)(request).await.map(|body| ResponseBody::streaming(Box::pin(body))))
    }
}

impl<H> fmt::Debug for InProcess<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}
