//! A suite of checks for your own [`Transport`](fetch_hive_client::Transport) or
//! [`BlockingTransport`](fetch_hive_client::blocking::BlockingTransport).
//!
//! The suite starts a server on a loopback port and checks the requests and responses of the
//! transport. Run it in a test, on the async runtime that the transport needs:
//!
//! ```
//! use fetch_hive_client::HyperTransport;
//! use fetch_hive_testing::conformance::Suite;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! // In a function with #[tokio::test]:
//! let report = Suite::new(HyperTransport::builder().build()?).run().await;
//! println!("{report}");
//! assert!(report.is_success(), "{report}");
//! # Ok::<(), fetch_hive_client::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A blocking transport needs no runtime:
//!
//! ```
//! use fetch_hive_client::blocking::UreqTransport;
//! use fetch_hive_testing::conformance::Suite;
//!
//! let report = Suite::blocking(UreqTransport::builder().build()?).run_blocking();
//! assert!(report.is_success(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If the transport lacks a capability, declare it with [`Suite::unsupported`], which skips the
//! checks that need it. If the HTTP library behaves incorrectly and cannot be configured to do
//! otherwise, declare it with [`Suite::expect_failure`], which runs the check without counting its
//! failure. The report contains the reason of each. [`Check`] lists the requirements. The guide
//! page `transport` of `fetch-hive-client` contains advice for each.
//!
//! The server supports HTTP/1.1 without TLS. The suite does not check HTTP/2 and certificates.

mod check;
mod checks;
mod harness;
mod report;
mod server;
mod suite;
pub(crate) mod wait;

pub use check::Check;
pub use report::{Outcome, Report};
pub use suite::{Capability, Suite};
