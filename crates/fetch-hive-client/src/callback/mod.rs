//! Callbacks: received, handled once, and waited for (contract, section 4).
//!
//! A [`Receiver`] is a function over `http::Request` that fits any server. It verifies what came in, runs your handler, and answers with
//! the status that makes the service do the right thing: 2xx when the event was taken, 5xx when it is to be delivered again.
//!
//! ```
//! # async fn run() {
//! use fetch_hive_client::callback::{MemoryDedupStore, Receiver, Verifier, signed_request};
//!
//! let receiver = Receiver::new(Verifier::new(["whsec_1"])).guard(MemoryDedupStore::new());
//!
//! // In a test; in a server it is what came in, and `receive` reads its body.
//! let request = signed_request("whsec_1", r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":"done"}}"#);
//! let response = receiver
//!     .receive_bytes(request, |event| async move {
//!         println!("{:?} made {:?}", event.request_id, event.output());
//!         Ok::<(), std::io::Error>(())
//!     })
//!     .await;
//! assert_eq!(response.status(), 200);
//! # }
//! # pollster::block_on(run());
//! ```
//!
//! To wait for a run in the process that receives its callback, see [`Call::run_and_wait`](crate::Call::run_and_wait).

mod dedup;
mod outcome;
mod pending_runs;
mod receiver;
mod run;
mod token;

pub use fetch_hive_core::callback::{Callback, CallbackError, EventKey, Verifier, signed_request};
pub use fetch_hive_core::signature::{BodyHmac, SIGNATURE_HEADER, SignatureError, SignatureScheme, sign};

pub use dedup::{Claim, ClaimLost, ClaimResult, DedupStore, MemoryDedupStore};
pub use outcome::Outcome;
pub use receiver::{Received, Receiver};
pub use run::{CallbackRun, PendingRun, ResumeToken, StartedRun};
