//! A blocking client, whose calls are sent by `.send()` instead of `.await`.
//!
//! It needs the feature `blocking`. The feature `ureq` adds a transport.
//!
//! ```no_run
//! # #[cfg(feature = "ureq")]
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use fetch_hive_client::blocking::Client;
//!
//! let client = Client::from_env()?;
//! let run = client.invoke_workflow("weekly-report").input("topic", "enterprise AI").send()?;
//! println!("{}", run.into_output()?);
//!
//! for chunk in client.invoke_agent("researcher", "What is new?").stream()?.text() {
//!     print!("{}", chunk?);
//! }
//! # Ok(()) }
//! ```
//!
//! Receive callbacks with
//! [`Receiver::receive_blocking`](crate::callback::Receiver::receive_blocking), and wait for them
//! with [`run_and_wait`](crate::Call::run_and_wait). To poll a run until it has ended, use
//! [`requests().wait(…)`](crate::resources::Requests::wait).
//!
//! The blocking client runs the futures of the async client on the calling thread, so requests,
//! validation, retries, events and errors are the same. The only difference is that the
//! [`BlockingTransport`] enforces the timeouts, because nothing else can interrupt a blocking call.
//!
//! # Threads
//!
//! Call it on any thread that may block: a thread that you started, or one of tokio's
//! `spawn_blocking` or `block_in_place`. In an async task it would stop all other tasks of that
//! thread, and could deadlock.
//!
//! A call within a call, such as one from a hook or a credential provider, fails with
//! [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) before anything is sent. If the feature
//! `hyper` is enabled, a call within a tokio task fails in the same way. Without that feature a
//! task cannot be detected, so the call blocks until its timeouts elapse.

mod approvals;
mod block_on;
mod callback;
mod client;
mod poll_run;
mod stream;

pub use approvals::Approvals;
pub use callback::{PendingRun, RunAndWait, StartedRun};
pub use client::Client;
pub use stream::{EventStream, TextStream};

pub use crate::transport::blocking::BlockingTransport;
#[cfg(feature = "ureq")]
pub use crate::transport::{UreqTransport, UreqTransportBuilder};

/// A builder for one call of the blocking client. Nothing is sent until [`send`](crate::Call::send)
/// or `stream` is called.
pub type Call<E> = crate::Call<E, Client>;

/// A builder for polling a run until it has ended. Nothing is sent until
/// [`send`](crate::PollRun::send) is called.
pub type PollRun = crate::PollRun<Client>;

/// A builder for a blocking [`Client`].
pub type ClientBuilder = crate::ClientBuilder<Client>;
