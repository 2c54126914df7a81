//! For the tests of programs that use this client: transports that need no network, and a clock that does not wait. Feature `test-util`.
//!
//! - [`Replay`] gives replies in their order and checks the requests; it reads recordings too.
//! - [`Capture`] keeps the requests and answers each alike.
//! - [`Never`] does not answer.
//! - [`Recorder`] writes what another transport does to a file, without secrets.
//! - [`PausedClock`] is at the end of every wait at once.
//!
//! The blocking client takes them by `async_transport` of its builder.
//!
//! How a program meets a full service, in less than a millisecond:
//!
//! ```
//! use std::time::Duration;
//!
//! use fetch_hive_client::test_util::{Exchange, PausedClock, Replay};
//! use fetch_hive_client::{Client, RetryPolicy};
//! use http::Method;
//!
//! let replay = Replay::new([
//!     Exchange::status(429).header("retry-after", "30").body(r#"{"error":"You've reached your concurrency limit."}"#),
//!     Exchange::status(200)
//!         .body(r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#)
//!         .expect(Method::POST, "/v1/workflow/invoke")
//!         .expect_json(serde_json::json!({"deployment": "weekly-report"})),
//! ]);
//! let clock = PausedClock::new();
//! let client = Client::builder().api_key("fhk_test").transport(replay.clone()).clock(clock.clone()).build()?;
//!
//! let run = pollster::block_on(client.invoke_workflow("weekly-report").into_future())?;
//! assert_eq!((run.output_text(), run.parts().attempts), (Some("done"), 2));
//! // It waited as long as the service asked for, and up to a quarter of it more; no real time passed.
//! assert!(clock.elapsed() >= Duration::from_secs(30) && clock.elapsed() < Duration::from_secs(38));
//! replay.finish()?;
//!
//! // The daily cap is not waited for.
//! let replay = Replay::new([Exchange::status(429).body(r#"{"error":"E","error_code":"api_rate_limit_exceeded"}"#)]);
//! let client = Client::builder().api_key("fhk_test").transport(replay).clock(clock).build()?;
//! let error = pollster::block_on(client.invoke_workflow("weekly-report").into_future()).unwrap_err();
//! assert_eq!((error.attempts(), error.may_have_run()), (1, false));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod clock;
mod exchange;
mod record;
mod recording;
mod replay;
mod scrub;

pub use capture::{Capture, Never};
pub use clock::PausedClock;
pub use exchange::Exchange;
pub use record::Recorder;
pub use recording::RecordingError;
pub use replay::{Mismatch, Replay};
