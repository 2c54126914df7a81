//! The transport under test, and helpers that send requests and judge responses.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::{RequestBody, ResponseBody, Timeouts, Transport, TransportError};
use http::{Request, Response};
use http_body::{Body as _, Frame};

use super::wait::{Signal, join_all, timeout, wait_until};

/// The result of a check. The error describes what the transport did.
pub(super) type CheckResult = Result<(), String>;

type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, TransportError>> + Send + 'a>>;

pub(super) struct Harness {
    pub(super) transport: Box<dyn Transport>,
    pub(super) step_timeout: Duration,
    pub(super) supports_streaming: bool,
    pub(super) is_blocking: bool,
}

impl Harness {
    /// The time after which the harness gives up. A server of a check may itself wait for the step
    /// timeout, so this is longer.
    fn give_up_after(&self) -> Duration {
        self.step_timeout * 3
    }

    /// Sends a request. If it has no timeouts, it gets a deadline that ends a transport that hangs.
    pub(super) fn send<B: Into<RequestBody>>(&self, mut request: Request<B>) -> SendFuture<'_> {
        if request.extensions().get::<Timeouts>().is_none() {
            let mut timeouts = Timeouts::default();
            timeouts.deadline = Some(self.step_timeout * 2);
            request.extensions_mut().insert(timeouts);
        }
        self.transport.send(request.map(Into::into))
    }

    /// Sends a request that must get a response.
    pub(super) async fn respond<B: Into<RequestBody>>(
        &self,
        request: Request<B>,
    ) -> Result<Response<ResponseBody>, String> {
        match timeout(self.give_up_after(), self.send(request)).await {
            None => Err("neither a response nor an error arrived".to_owned()),
            Some(Err(error)) => Err(format!("an error instead of a response: {}", with_causes(&error))),
            Some(Ok(response)) => Ok(response),
        }
    }

    /// Sends a request that must fail, at the latest in its response body.
    pub(super) async fn fail<B: Into<RequestBody>>(&self, request: Request<B>) -> Result<TransportError, String> {
        match timeout(self.give_up_after(), self.send_and_read(request)).await {
            None => Err("neither a response nor an error arrived".to_owned()),
            Some(Err(error)) => Ok(error),
            Some(Ok(body)) => Err(format!("a response with {} bytes instead of an error", body.len())),
        }
    }

    /// Sends a request and reads the whole response body, without a timeout.
    pub(super) async fn send_and_read<B: Into<RequestBody>>(
        &self,
        request: Request<B>,
    ) -> Result<Vec<u8>, TransportError> {
        let mut body = self.send(request).await?.into_body();
        let mut bytes = Vec::new();
        while let Some(chunk) = next_chunk(&mut body).await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads the next chunk of a body. Returns `None` at its end.
    pub(super) async fn chunk(&self, body: &mut ResponseBody) -> Result<Option<Bytes>, String> {
        match timeout(self.give_up_after(), next_chunk(body)).await {
            None => Err("the body neither continued nor ended".to_owned()),
            Some(Err(error)) => Err(format!("the body failed: {}", with_causes(&error))),
            Some(Ok(chunk)) => Ok(chunk),
        }
    }

    /// Reads a whole body.
    pub(super) async fn read(&self, mut body: ResponseBody) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut body).await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Runs futures concurrently: on threads for a blocking transport.
    pub(super) async fn run_concurrently(
        &self,
        futures: Vec<Pin<Box<dyn Future<Output = CheckResult> + Send + '_>>>,
    ) -> CheckResult {
        if !self.is_blocking {
            return join_all(futures).await.into_iter().collect();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                futures.into_iter().map(|future| scope.spawn(|| pollster::block_on(future))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("the transport panicked".to_owned())))
        })
    }
}

/// Reads the next chunk of a body that is not empty. Returns `None` at the end of the body.
pub(super) async fn next_chunk(body: &mut ResponseBody) -> Result<Option<Bytes>, TransportError> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// Creates a GET request with an empty body.
pub(super) fn get(url: &str) -> Result<Request<Bytes>, String> {
    Request::get(url).body(Bytes::new()).map_err(|error| error.to_string())
}

/// Creates a POST request, which must never be sent twice.
pub(super) fn post(url: &str) -> Result<Request<Bytes>, String> {
    let body = Bytes::from_static(br#"{"deployment":"d"}"#);
    Request::post(url).header("content-type", "application/json").body(body).map_err(|error| error.to_string())
}

/// Formats an error with its kind and causes.
pub(super) fn with_causes(error: &TransportError) -> String {
    let mut text = format!("{error} ({:?})", error.kind());
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// Returns an error if the values differ.
pub(super) fn expect<T: PartialEq + fmt::Debug>(what: &str, got: &T, want: &T) -> CheckResult {
    if got == want { Ok(()) } else { Err(format!("{what} was {got:?}, expected {want:?}")) }
}

/// Waits until the server has seen the connection close.
pub(super) async fn expect_close(harness: &Harness, closed: &Signal) -> CheckResult {
    if wait_until(harness.step_timeout, || closed.is_set()).await {
        return Ok(());
    }
    Err("the connection stayed open".to_owned())
}

/// Creates bytes in which a lost, duplicated or moved part is noticeable.
pub(super) fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

/// Describes the failure of a check to start its server.
#[allow(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
pub(super) fn server_error(error: std::io::Error) -> String {
    format!("cannot start the server of the check: {error}")
}
