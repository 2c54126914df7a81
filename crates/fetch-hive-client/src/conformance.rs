//! Checks that a [`Transport`] keeps its contract. Feature `conformance`.
//!
//! A test of a few lines runs them against a server of their own on loopback, with whatever runtime the transport needs:
//!
//! ```
//! # #[cfg(feature = "hyper")] {
//! use fetch_hive_client::HyperTransport;
//! use fetch_hive_client::conformance::Suite;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! // In a test: #[tokio::test]
//! let report = Suite::new(HyperTransport::builder().build()?).run().await;
//! println!("{report}");
//! assert!(report.is_passed(), "{report}");
//! # Ok::<(), fetch_hive_client::Error>(()) })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A blocking transport is checked without a runtime:
//!
//! ```
//! # #[cfg(feature = "ureq")] {
//! use fetch_hive_client::blocking::UreqTransport;
//! use fetch_hive_client::conformance::Suite;
//!
//! // In a test: #[test]
//! let report = Suite::blocking(UreqTransport::builder().build()?).run_blocking()?;
//! assert!(report.is_passed(), "{report}");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a whole kind of transport cannot do is said with [`Suite::lacks`]: the checks that need it are skipped. What a library does wrong, and cannot
//! be made to do right, is said with [`Suite::known_to_fail`]: the check is run and does not count. The report says why of both. [`Check`] has the
//! demands, one by one; the page `transport` of the guide says what to do where a library makes one hard.
//!
//! The server speaks HTTP/1.1 without TLS; one check needs that `https` URLs are known. What HTTP/2 and certificates do is not checked here.

mod body;
mod connection;
mod message;
mod report;
mod server;
mod wait;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;

pub use self::report::{Check, Outcome, Report};
use self::wait::within;
use crate::{Timeouts, ResponseBody, Transport, TransportError};

/// What not every transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// It hands a body over as it comes. Without it, streams of events come all at once, at their end.
    Streaming,
    /// Dropping its future, or a body, ends the exchange. Without it, it keeps [`Timeouts`] itself.
    CancelOnDrop,
    /// It keeps [`Timeouts::connect`], and knows `https`.
    ConnectLimit,
    /// It makes connections, and tells how they fail. One that calls a handler in its own process makes none.
    Connections,
}

/// The checks, and the transport that they are for.
#[must_use = "nothing is checked until `run` is awaited"]
pub struct Suite {
    subject: Subject,
    lacks: Vec<(Capability, String)>,
    known: Vec<(Check, String)>,
}

/// What a check has at hand.
struct Subject {
    transport: Box<dyn Transport>,
    patience: Duration,
    streams: bool,
    #[cfg(feature = "blocking")]
    blocks: bool,
}

/// What came of a check; the error is what the transport does instead.
type Checked = Result<(), String>;

impl Suite {
    /// The checks of a transport that can do everything.
    pub fn new(transport: impl Transport) -> Self {
        let subject = Subject {
            transport: Box::new(transport),
            patience: Duration::from_secs(10),
            streams: true,
            #[cfg(feature = "blocking")]
            blocks: false,
        };
        Self { subject, lacks: Vec::new(), known: Vec::new() }
    }

    /// The checks of a blocking transport; [`run_blocking`](Self::run_blocking) runs them.
    #[cfg(feature = "blocking")]
    pub fn blocking(transport: impl crate::blocking::BlockingTransport) -> Self {
        let mut suite = Self::new(crate::blocking::Blocks(transport));
        suite.subject.blocks = true;
        suite.lacks(Capability::CancelOnDrop, "a call that blocks cannot be dropped")
    }

    /// Runs all checks on this thread, one after the other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where this thread must not block.
    #[cfg(feature = "blocking")]
    pub fn run_blocking(self) -> Result<Report, crate::Error> {
        Ok(crate::blocking::block_on(self.run())?)
    }

    /// Says what the transport cannot do, and why.
    pub fn lacks(mut self, capability: Capability, why: impl Into<String>) -> Self {
        self.subject.streams &= capability != Capability::Streaming;
        self.lacks.push((capability, why.into()));
        self
    }

    /// Says which check the transport is known to fail, and why: what its library does, and how a caller gets along with it. The check is run;
    /// the report says what the transport does and why, and does not count it as failed.
    ///
    /// It is not for [`CutBody`](Check::CutBody), [`LostReply`](Check::LostReply) and [`Repeats`](Check::Repeats) if a client with this transport
    /// sends runs: a run would be lost, or charged twice.
    pub fn known_to_fail(mut self, check: Check, why: impl Into<String>) -> Self {
        self.known.push((check, why.into()));
        self
    }

    /// How long a check waits for what should come at once: 10 s by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.subject.patience = patience;
        self
    }

    /// Runs all checks, one after the other.
    pub async fn run(self) -> Report {
        let mut outcomes = Vec::new();
        for check in Check::ALL {
            let outcome = match self.reason_to_skip(*check) {
                Some(why) => Outcome::Skipped(why),
                None => match (self.subject.check(*check).await, self.known.iter().find(|(known, _)| known == check)) {
                    (Ok(()), _) => Outcome::Passed,
                    (Err(what), None) => Outcome::Failed(what),
                    (Err(what), Some((_, why))) => Outcome::Known { what, why: why.clone() },
                },
            };
            outcomes.push((*check, outcome));
        }
        Report(outcomes)
    }

    fn reason_to_skip(&self, check: Check) -> Option<String> {
        let lacking =
            |capability| self.lacks.iter().find(|(lacks, _)| *lacks == capability).map(|(_, why)| why.clone());
        let needs: &[Capability] = match check {
            Check::HeadersFirst | Check::Streaming => &[Capability::Streaming],
            Check::DropRequest => &[Capability::CancelOnDrop],
            // Between two reads nothing blocks: a body can be dropped then.
            #[cfg(feature = "blocking")]
            Check::DropBody if self.subject.blocks => &[Capability::Streaming],
            Check::DropBody => &[Capability::CancelOnDrop, Capability::Streaming],
            Check::ConnectLimit => &[Capability::ConnectLimit, Capability::Connections],
            Check::Refused | Check::LostReply => &[Capability::Connections],
            Check::OwnLimits if lacking(Capability::CancelOnDrop).is_none() => {
                return Some("the client keeps the timeouts, by dropping".to_owned());
            }
            _ => &[],
        };
        needs.iter().find_map(|capability| lacking(*capability))
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("lacks", &self.lacks).field("known", &self.known).finish_non_exhaustive()
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, TransportError>> + Send + 'a>>;

impl Subject {
    async fn check(&self, check: Check) -> Checked {
        match check {
            Check::Statuses => self.statuses().await,
            Check::Redirects => self.redirects().await,
            Check::HeadersFirst => self.headers_first().await,
            Check::Streaming => self.streaming().await,
            Check::LargeBody => self.large_body().await,
            Check::CutBody => self.cut_body().await,
            Check::EmptyBody => self.empty_body().await,
            Check::Informational => self.informational().await,
            Check::RepeatedHeaders => self.repeated_headers().await,
            Check::Encoding => self.encoding().await,
            Check::RequestHead => self.request_head().await,
            Check::Upload => self.upload().await,
            Check::Cookies => self.cookies().await,
            Check::Concurrency => self.concurrency().await,
            Check::Refused => self.refused().await,
            Check::LostReply => self.lost_reply().await,
            Check::Repeats => self.repeats().await,
            Check::ConnectLimit => self.connect_limit().await,
            Check::DropRequest => self.drop_request().await,
            Check::DropBody => self.drop_body().await,
            Check::OwnLimits => self.own_limits().await,
        }
    }

    /// Timeouts that end what hangs, for a transport that keeps them itself: none is meant to run out.
    fn timeouts(&self) -> Timeouts {
        let mut timeouts = Timeouts::default();
        timeouts.deadline = Some(self.patience * 2);
        timeouts
    }

    fn send(&self, request: Request<Bytes>) -> Sending<'_> {
        let mut request = request;
        if request.extensions().get::<Timeouts>().is_none() {
            request.extensions_mut().insert(self.timeouts());
        }
        self.transport.send(request)
    }

    /// Carries calls out side by side.
    async fn together(&self, calls: Vec<Pin<Box<dyn Future<Output = Checked> + Send + '_>>>) -> Checked {
        #[cfg(feature = "blocking")]
        if self.blocks {
            return std::thread::scope(|scope| {
                let threads = calls.into_iter().map(|call| scope.spawn(|| crate::blocking::block_on(call)));
                let threads: Vec<_> = threads.collect();
                threads.into_iter().try_for_each(|thread| match thread.join() {
                    Ok(Ok(checked)) => checked,
                    Ok(Err(invalid)) => Err(invalid.to_string()),
                    Err(_) => Err("a call panicked".to_owned()),
                })
            });
        }
        wait::all(calls).await.into_iter().collect()
    }

    /// Sends, and has a response in time.
    async fn respond(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, String> {
        match within(self.patience * 3, self.send(request)).await {
            None => Err("there was neither a response nor an error".to_owned()),
            Some(Err(error)) => Err(format!("there was an error instead of a response: {}", told(&error))),
            Some(Ok(response)) => Ok(response),
        }
    }

    /// Sends, and has the error that must come.
    async fn fail(&self, request: Request<Bytes>) -> Result<TransportError, String> {
        let failing = async {
            let body = self.send(request).await?.into_body();
            read(body).await
        };
        match within(self.patience * 3, failing).await {
            None => Err("there was neither a response nor an error".to_owned()),
            Some(Err(error)) => Ok(error),
            Some(Ok(body)) => Err(format!("there was a response with {} bytes instead of an error", body.len())),
        }
    }

    /// The next piece of a body, in time; `None` at its end.
    async fn piece(&self, body: &mut ResponseBody) -> Result<Option<Bytes>, String> {
        match within(self.patience * 3, next(body)).await {
            None => Err("nothing more of the body came, nor its end".to_owned()),
            Some(Err(error)) => Err(format!("the body failed: {}", told(&error))),
            Some(Ok(piece)) => Ok(piece),
        }
    }

    /// A whole body, in time.
    async fn whole(&self, mut body: ResponseBody) -> Result<Vec<u8>, String> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut body).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

/// A GET, which most checks send.
fn get(url: &str) -> Result<Request<Bytes>, String> {
    Request::get(url).body(Bytes::new()).map_err(|error| error.to_string())
}

async fn next(body: &mut ResponseBody) -> Result<Option<Bytes>, TransportError> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(http_body::Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(_)) => {}
            None => return Ok(None),
        }
    }
}

async fn read(mut body: ResponseBody) -> Result<Vec<u8>, TransportError> {
    let mut whole = Vec::new();
    while let Some(piece) = next(&mut body).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// An error with its causes.
fn told(error: &TransportError) -> String {
    let mut text = format!("{error} ({:?})", error.kind());
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

fn expect<T: PartialEq + fmt::Debug>(what: &str, got: &T, want: &T) -> Checked {
    if got == want { Ok(()) } else { Err(format!("{what} was {got:?} and not {want:?}")) }
}

/// Bytes in which a piece that is lost, doubled or moved shows.
fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn started(error: std::io::Error) -> String {
    format!("the server of the check could not start: {error}")
}
