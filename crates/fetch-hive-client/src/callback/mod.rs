//! Receives callbacks, handles each event once, and waits for runs that end by callback.
//!
//! ```
//! # async fn run() {
//! use fetch_hive_client::callback::{Delivery, Receiver, Verifier, signed_request};
//!
//! async fn handle(delivery: Delivery) -> Result<(), std::io::Error> {
//!     println!("{:?}: {:?}", delivery.event.event_type, delivery.event.output());
//!     Ok(())
//! }
//!
//! let receiver = Receiver::new(Verifier::new(["whsec_1"]));
//!
//! // A signed test request. In a server, pass each incoming request to `receiver.receive`.
//! let body = r#"{"event_type":"workflow.completed","data":{"output":"done"}}"#;
//! let request = signed_request("whsec_1", body);
//! let response = receiver.receive_bytes(request, handle).await;
//! assert_eq!(response.status(), 200);
//! # }
//! # pollster::block_on(run());
//! ```
//!
//! A [`Receiver`] verifies each request, runs your handler, and responds with a status code that
//! tells the service whether to redeliver the event: 2xx if it was handled, and 5xx if it should be
//! redelivered. The service may deliver an event more than once. Set a [dedup
//! store](Receiver::dedup) so that the handler succeeds once per event.
//!
//! To start a run and wait for its callback in the same process, use
//! [`Call::run_and_wait`](crate::Call::run_and_wait). To wait without a public URL, use
//! [`Requests::wait`](crate::resources::Requests::wait).

mod dedup;
mod delivery_report;
mod endpoint;
mod memory_pending_runs;
mod outcome;
mod pending_run;
mod pending_runs;
mod receiver;
mod renewal;
mod run_and_wait;
mod run_delivery;
mod run_token;
mod secret_source;

pub use fetch_hive_core::callback::{CallbackError, Claim, Delivery, EventKey, Verifier, signed_request};
pub use fetch_hive_core::signature::{BodyHmac, SIGNATURE_HEADER, SignatureError, SignatureScheme, sign};

pub use dedup::{ClaimLost, ClaimResult, DedupStore, MemoryDedupStore};
pub use delivery_report::DeliveryReport;
pub use endpoint::CallbackEndpoint;
pub use memory_pending_runs::MemoryPendingRuns;
pub use outcome::Outcome;
pub use pending_run::{PendingRun, ResumeToken, StartedRun};
pub use pending_runs::{AcceptedRun, Changed, DeliverResult, PendingRunState, PendingRuns, RawDelivery, TakeResult};
pub use receiver::Receiver;
pub use run_and_wait::RunAndWait;
pub use run_token::RunToken;
pub use secret_source::{SecretSource, UnverifiedDelivery};
