#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod approvals;
#[cfg(feature = "blocking")]
pub mod blocking;
mod body;
mod builder;
mod call;
mod call_sites;
pub mod callback;
mod client;
mod clock;
mod credentials;
mod error;
mod exchange;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
#[cfg(feature = "hyper")]
mod hyper;
mod run_limit;
mod raw;
mod report;
pub mod resources;
mod stream;
mod trace;
mod transport;
mod upload;
mod usage;
mod wait;
mod watch;

pub use fetch_hive_core as core;
pub use fetch_hive_core::types;

pub use approvals::ApprovalStream;
pub use body::ResponseBody;
pub use builder::{API_KEY_VARIABLE, ClientBuilder};
pub use call::Call;
pub use client::Client;
pub use clock::Clock;
#[cfg(feature = "hyper")]
pub use clock::TokioClock;
pub use credentials::CredentialProvider;
pub use error::{Error, ErrorKind, PartialResponse};
pub use fetch_hive_core::engine::RetryPolicy;
pub use fetch_hive_core::stream::{Event, StreamError, StreamingEndpoint};
pub use fetch_hive_core::{
    ApiError, Auth, BaseUrl, Body, DecodeError, Endpoint, ErrorPayload, InvalidInput, Timeouts, Operation, PathWriter,
    QueryWriter, RateLimit, Retry, ApiResponse, ApiResponseParts,
};
#[cfg(feature = "hyper")]
pub use hyper::{HyperTransport, HyperTransportBuilder};
pub use report::{AttemptReport, CallReport};
pub use stream::{Collected, EventStream, TextStream};
pub use transport::{BoxError, Timeout, Transport, TransportError, TransportErrorKind};
pub use upload::read_asset_file;
pub use usage::UsageReport;
pub use wait::{WaitError, PollRun};
