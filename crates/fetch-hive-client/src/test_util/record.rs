use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::recording::{Answered, Asked, Content, Line};
use super::scrub::Secrets;
use crate::{ResponseBody, Transport, TransportError};

/// A transport that writes what another one does to a file, for a [`Replay`](super::Replay).
///
/// The file has one exchange as JSON on each line. Secrets are left out: the headers that authenticate and cookies, members and
/// parameters whose names say that they are secret, in JSON within a text too, what stands before the host and in the query of any URL, what begins
/// with `fhk_` or `whsec_`, and each of these wherever it is repeated in the exchange. Else inputs and outputs are kept as they are: name what else is
/// secret with [`remove`](Recorder::remove), such as a URL whose path is one, and read the file before you share it. The host is not recorded.
///
/// A reply's body is recorded whole, in one piece, when it was read or dropped.
pub struct Recorder {
    transport: Box<dyn Transport>,
    also: Secrets,
    output: Arc<Mutex<Output>>,
}

struct Output {
    file: File,
    next: u64,
    failed: Option<io::Error>,
}

impl Recorder {
    /// Records to a new file; one that is there is overwritten.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub fn to_file(transport: impl Transport, path: impl AsRef<Path>) -> io::Result<Self> {
        let output = Output { file: File::create(path)?, next: 0, failed: None };
        Ok(Self { transport: Box::new(transport), also: Secrets::default(), output: Arc::new(Mutex::new(output)) })
    }

    /// As [`to_file`](Self::to_file), of a blocking transport. A blocking client takes it by
    /// [`async_transport`](crate::blocking::ClientBuilder::async_transport).
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    #[cfg(feature = "blocking")]
    pub fn blocking_to_file(
        transport: impl crate::blocking::BlockingTransport,
        path: impl AsRef<Path>,
    ) -> io::Result<Self> {
        Self::to_file(crate::blocking::Blocks(transport), path)
    }

    /// Leaves out a text wherever it stands, such as a name that must not become known. It has 8 bytes or more.
    #[must_use]
    pub fn remove(mut self, text: impl AsRef<str>) -> Self {
        self.also.add(text.as_ref());
        self
    }
}

fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        let number = {
            let mut output = lock(&self.output);
            if let Some(error) = output.failed.take() {
                return Err(TransportError::not_sent(error));
            }
            output.next += 1;
            output.next
        };
        let mut secrets = self.also.clone();
        let asked = Asked {
            method: request.method().to_string(),
            headers: secrets.of_headers(request.headers()),
            path: secrets.of_path(request.uri().path_and_query().map_or("", |path| path.as_str())),
            body: Content::new(request.body(), &mut secrets),
        };
        let mut entry = Entry { output: Arc::clone(&self.output), number, asked: Some(asked), secrets, head: None };
        let response = self.transport.send(request).await;
        match response {
            Err(error) => {
                entry.write(None, Some(&error));
                Err(error)
            }
            Ok(response) => {
                let (parts, body) = response.into_parts();
                entry.head = Some(parts.clone());
                let recorded = Recorded { body, came: Vec::new(), ended: false, entry };
                Ok(Response::from_parts(parts, ResponseBody::streaming(recorded)))
            }
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("exchanges", &lock(&self.output).next).finish_non_exhaustive()
    }
}

/// An exchange that is to be written, once.
struct Entry {
    output: Arc<Mutex<Output>>,
    number: u64,
    asked: Option<Asked>,
    secrets: Secrets,
    head: Option<Parts>,
}

impl Entry {
    fn write(&mut self, body: Option<(&[u8], bool)>, error: Option<&TransportError>) {
        let Some(asked) = self.asked.take() else { return };
        let mut secrets = std::mem::take(&mut self.secrets);
        let reply = self.head.take().zip(body).map(|(head, (body, cut))| Answered {
            status: head.status.as_u16(),
            headers: secrets.of_headers(&head.headers),
            body: Content::new(body, &mut secrets),
            cut,
        });
        let clean = |headers: Vec<(String, String)>| {
            headers.into_iter().map(|(name, value)| (name, secrets.remove(&value))).collect()
        };
        let line = Line {
            number: self.number,
            request: Asked {
                path: secrets.remove(&asked.path),
                headers: clean(asked.headers),
                body: asked.body.remove(&secrets),
                method: asked.method,
            },
            reply: reply.map(|reply| Answered {
                headers: clean(reply.headers),
                body: reply.body.remove(&secrets),
                ..reply
            }),
            failed: error.map(|error| error.kind().into()),
        };
        let mut output = lock(&self.output);
        let written =
            serde_json::to_string(&line).map_err(io::Error::from).and_then(|line| writeln!(output.file, "{line}"));
        if let Err(error) = written {
            output.failed = Some(error);
        }
    }
}

/// A body that is written down when it is over.
struct Recorded {
    body: ResponseBody,
    came: Vec<u8>,
    ended: bool,
    entry: Entry,
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.came.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
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

impl Drop for Recorded {
    fn drop(&mut self) {
        let cut = !self.ended && !self.body.is_end_stream();
        self.entry.write(Some((&self.came, cut)), None);
    }
}
