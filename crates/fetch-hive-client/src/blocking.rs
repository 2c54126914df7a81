//! The client without an async runtime: the same calls, sent by `.send()` and not by `.await`. Feature `blocking`; feature `ureq` brings a
//! transport.
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
//! for piece in client.invoke_agent("researcher", "What is new?").stream()?.text() {
//!     print!("{}", piece?);
//! }
//! # Ok(()) }
//! ```
//!
//! Callbacks are received by [`Receiver::receive_blocking`](crate::callback::Receiver::receive_blocking), and waited for by
//! [`run_and_wait`](crate::Call::run_and_wait); [`requests().wait(…)`](crate::resources::Requests::wait) looks a run up until it has ended.
//!
//! It is the async client whose futures are awaited on the thread that calls: requests, checks, repeats, timeouts, events and errors are the
//! same by construction. What differs is that timeouts are kept by the [`BlockingTransport`], which alone can end what blocks.
//!
//! # Where it may be called
//!
//! On any thread that may block: a thread of its own, tokio's `spawn_blocking` and `block_in_place`. In an async task it would stop all that
//! shares the thread, up to a deadlock. Where the feature `hyper` is on too, so that tokio is in the graph, a call in a task of tokio is
//! refused with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) before anything is sent, as is, always, a call from within a call: from a hook, or from a credential provider.
//! Without tokio in the graph a task cannot be told from a thread; the call then blocks, and ends at its timeouts.

mod client;
mod receive;
mod run;
mod stream;
mod transport;
#[cfg(feature = "ureq")]
mod ureq;
mod wait;

pub use client::Client;
pub use stream::{Approvals, EventStream, TextStream};
pub use transport::BlockingTransport;
#[cfg(feature = "ureq")]
pub use ureq::{UreqTransport, UreqTransportBuilder};
pub use wait::{PendingRun, StartedRun};

/// A call that is being put together: nothing is sent until [`send`](crate::Call::send) or `stream` is called.
pub type Call<E> = crate::Call<E, Client>;

/// The wait for the end of a run by looking it up: nothing is sent until [`send`](crate::PollRun::send) is called.
pub type PollRun = crate::PollRun<Client>;

/// The configuration of a [`Client`].
pub type ClientBuilder = crate::ClientBuilder<Client>;
