//! Adapts a blocking transport to the async [`Transport`] trait.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::BlockingTransport;
use fetch_hive_client::{RequestBody, ResponseBody, Transport, TransportError};
use http::{Request, Response};
use http_body::{Body, Frame};

const READ_BUFFER_BYTES: usize = 16 << 10;

/// An async transport that blocks the polling thread until the blocking transport returns.
pub(crate) struct BlockingAdapter<T>(pub(crate) T);

#[async_trait]
impl<T: BlockingTransport> Transport for BlockingAdapter<T> {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let response = self.0.send(request)?;
        Ok(response.map(|reader| ResponseBody::streaming(ReadBody(Some(reader)))))
    }
}

/// A response body that blocks while it is polled. It holds `None` after its end.
struct ReadBody(Option<Box<dyn Read + Send>>);

impl Body for ReadBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let Some(reader) = &mut self.0 else { return Poll::Ready(None) };
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let result = loop {
            match reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        Poll::Ready(match result {
            Ok(0) => {
                self.0 = None;
                None
            }
            Ok(length) => {
                buffer.truncate(length);
                Some(Ok(Frame::data(buffer.into())))
            }
            Err(error) => {
                self.0 = None;
                Some(Err(error.downcast().unwrap_or_else(TransportError::may_have_run)))
            }
        })
    }
}
