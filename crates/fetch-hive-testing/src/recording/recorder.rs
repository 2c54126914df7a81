use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::BlockingTransport;
use fetch_hive_client::{RequestBody, ResponseBody, Transport, TransportError};
use http::response::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::format::{Line, RecordedBody, RecordedRequest, RecordedResponse};
use super::redact::Secrets;
use crate::blocking::BlockingAdapter;

/// A transport that records the exchanges of another transport in a file, for a
/// [`Replay`](crate::Replay).
///
/// The file contains one exchange per line, as JSON. A response body is recorded as a single chunk
/// when it ends or is dropped. The host is not recorded.
///
/// These secrets are replaced with `REDACTED`, wherever they occur in the exchange:
///
/// - headers that authenticate, and cookies
/// - members of JSON objects and query parameters whose names indicate a secret, also in JSON that
///   is embedded in a string
/// - the user information and the query of every URL
/// - values that start with `fhk_` or `whsec_`
/// - texts passed to [`redact`](Self::redact)
///
/// All other inputs and outputs are recorded unchanged. Read the file before you share it.
pub struct Recorder {
    transport: Box<dyn Transport>,
    secrets: Secrets,
    output: Arc<Mutex<Output>>,
}

struct Output {
    file: File,
    last_number: u64,
    error: Option<io::Error>,
}

impl Recorder {
    /// Creates a recorder that writes the exchanges of a transport to a file.
    ///
    /// An existing file is overwritten. If a write fails later, the next request fails with that
    /// error and is not sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be created.
    pub fn to_file(transport: impl Transport, path: impl AsRef<Path>) -> io::Result<Self> {
        let output = Output { file: File::create(path)?, last_number: 0, error: None };
        Ok(Self { transport: Box::new(transport), secrets: Secrets::default(), output: Arc::new(Mutex::new(output)) })
    }

    /// Creates a recorder that writes the exchanges of a blocking transport to a file.
    ///
    /// An existing file is overwritten. Pass the recorder to [`async_transport`] of the blocking
    /// client.
    ///
    /// [`async_transport`]: fetch_hive_client::blocking::ClientBuilder::async_transport
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be created.
    pub fn blocking_to_file(transport: impl BlockingTransport, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::to_file(BlockingAdapter(transport), path)
    }

    /// Adds a text that is redacted wherever it occurs, such as the name of a customer.
    ///
    /// A text shorter than 8 bytes is ignored, because it would match unrelated text.
    #[must_use]
    pub fn redact(mut self, text: impl AsRef<str>) -> Self {
        self.secrets.add(text.as_ref());
        self
    }
}

fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        let number = {
            let mut output = lock(&self.output);
            if let Some(error) = output.error.take() {
                return Err(TransportError::not_sent(error));
            }
            output.last_number += 1;
            output.last_number
        };
        let mut secrets = self.secrets.clone();
        let recorded = RecordedRequest {
            method: request.method().to_string(),
            headers: secrets.redact_headers(request.headers()),
            path: secrets.redact_path(request.uri().path_and_query().map_or("", |path| path.as_str())),
            body: RecordedBody::new(request.body(), &mut secrets),
        };
        let mut entry =
            Entry { output: Arc::clone(&self.output), number, request: Some(recorded), secrets, head: None };
        match self.transport.send(request.map(Into::into)).await {
            Err(error) => {
                entry.write(None, Some(&error));
                Err(error)
            }
            Ok(response) => {
                let (parts, body) = response.into_parts();
                entry.head = Some(parts.clone());
                let body = RecordingBody { body, received: Vec::new(), ended: false, entry };
                Ok(Response::from_parts(parts, ResponseBody::streaming(body)))
            }
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("exchanges", &lock(&self.output).last_number).finish_non_exhaustive()
    }
}

/// An exchange that is written once, when it ends.
struct Entry {
    output: Arc<Mutex<Output>>,
    number: u64,
    request: Option<RecordedRequest>,
    secrets: Secrets,
    head: Option<Parts>,
}

impl Entry {
    /// Writes the exchange. The body comes with whether it is incomplete.
    fn write(&mut self, body: Option<(&[u8], bool)>, error: Option<&TransportError>) {
        let Some(request) = self.request.take() else { return };
        let mut secrets = std::mem::take(&mut self.secrets);
        let response = self.head.take().zip(body).map(|(head, (body, incomplete))| RecordedResponse {
            status: head.status.as_u16(),
            headers: secrets.redact_headers(&head.headers),
            body: RecordedBody::new(body, &mut secrets),
            incomplete,
        });
        // A secret found in one part of the exchange is replaced in all parts.
        let headers = |headers: Vec<(String, String)>| {
            headers.into_iter().map(|(name, value)| (name, secrets.replace_all(&value))).collect()
        };
        let line = Line {
            number: self.number,
            request: RecordedRequest {
                method: request.method,
                path: secrets.replace_all(&request.path),
                headers: headers(request.headers),
                body: request.body.redact(&secrets),
            },
            response: response.map(|response| RecordedResponse {
                headers: headers(response.headers),
                body: response.body.redact(&secrets),
                ..response
            }),
            error: error.map(|error| error.kind().into()),
        };
        let mut output = lock(&self.output);
        let result =
            serde_json::to_string(&line).map_err(io::Error::from).and_then(|line| writeln!(output.file, "{line}"));
        if let Err(error) = result {
            output.error = Some(error);
        }
    }
}

/// A response body that is recorded when it is dropped.
struct RecordingBody {
    body: ResponseBody,
    received: Vec<u8>,
    ended: bool,
    entry: Entry,
}

impl Body for RecordingBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.received.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) => {}
            None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RecordingBody {
    fn drop(&mut self) {
        let incomplete = !self.ended && !self.body.is_end_stream();
        self.entry.write(Some((&self.received, incomplete)), None);
    }
}
