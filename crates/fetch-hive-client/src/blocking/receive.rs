use std::io::Read;

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Request, Response};

use super::block_on::block_on;
use crate::callback::{Outcome, Received, Receiver};
use crate::{BoxError, Error};

/// Without async.
impl Receiver {
    /// As [`receive`](Receiver::receive), on a thread that may block: for servers whose bodies are [`Read`]. The handler may call the
    /// [`blocking`](crate::blocking) client, and the [`DedupStore`](crate::callback::DedupStore) is awaited on this thread.
    ///
    /// ```
    /// use fetch_hive_client::callback::{Receiver, Verifier, signed_request};
    ///
    /// let receiver = Receiver::new(Verifier::new(["whsec_1"]));
    /// # let request = signed_request("whsec_1", r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":"done"}}"#);
    /// # let request = request.map(|body| std::io::Cursor::new(body));
    /// // `request` is what a server took, with its body unread.
    /// let response = receiver.receive_blocking(request, |event| {
    ///     println!("{:?} made {:?}", event.request_id, event.output());
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// assert_eq!(response.status(), 200);
    /// # Ok::<(), fetch_hive_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `client` where this thread must not block: see [`blocking`](crate::blocking). What
    /// becomes of a delivery is no error, but in the response.
    pub fn receive_blocking<B, H, E>(&self, request: Request<B>, handler: H) -> Result<Response<String>, Error>
    where
        B: Read,
        H: FnOnce(Received) -> Result<(), E>,
        E: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let outcome = match read(&parts, body, self.limit()) {
            Err(outcome) => outcome,
            Ok(body) => match block_on(self.admit(&parts, body))? {
                Err(outcome) => outcome,
                Ok((key, received)) => {
                    let claim = received.claim.clone();
                    // Between the two awaits, so that it may await something itself.
                    let result = handler(received).map_err(Into::into);
                    block_on(self.settle(key, claim, result))?
                }
            },
        };
        Ok(self.answer(outcome))
    }

    /// As [`receive_blocking`](Receiver::receive_blocking), with a body that is all there.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_bytes_blocking<H, E>(&self, request: Request<Bytes>, handler: H) -> Result<Response<String>, Error>
    where
        H: FnOnce(Received) -> Result<(), E>,
        E: Into<BoxError>,
    {
        self.receive_blocking(request.map(Buf::reader), handler)
    }
}

/// Reads the body of a post, no further than the limit.
fn read(parts: &Parts, body: impl Read, limit: usize) -> Result<Bytes, Outcome> {
    if parts.method != Method::POST {
        return Err(Outcome::MethodNotAllowed);
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Outcome::TooLarge { limit });
    }
    let mut whole = Vec::new();
    let read = body.take((limit as u64).saturating_add(1)).read_to_end(&mut whole);
    read.map_err(|error| Outcome::BodyError(error.into()))?;
    if whole.len() > limit { Err(Outcome::TooLarge { limit }) } else { Ok(whole.into()) }
}
