#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod callback;
mod client;
mod clock;
mod credentials;
mod error;
mod execute;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod poll_run;
mod stream;
mod transport;

/// The crate whose `Bytes` the raw bodies of this crate are.
pub use bytes;
pub use fetch_hive_core as core;
pub use fetch_hive_core::types;
/// The crate whose requests, responses and headers appear in the API of this crate.
pub use http;

pub use client::{
    API_KEY_VARIABLE, ApprovalStream, Call, Client, ClientBuilder, RawRequest, open_asset_file, resources,
};
pub use clock::Clock;
#[cfg(feature = "hyper")]
pub use clock::TokioClock;
pub use credentials::CredentialProvider;
pub use error::{BoxError, Error, ErrorKind, PartialResponse, Timeout, TransportError, TransportErrorKind, WaitError};
pub use execute::{
    AttemptReport, CallReport, MemoryRunLimiter, RunEnd, RunLimiter, RunLimiterUsage, RunPermit, RunReport, RunRequest,
    UsageReport,
};
pub use fetch_hive_core::retry::RetryPolicy;
pub use fetch_hive_core::stream::{Event, StreamError, StreamingEndpoint};
pub use fetch_hive_core::{
    ApiError, ApiResponse, ApiResponseParts, Auth, BaseUrl, Body, BodyPiece, DecodeError, DecodeErrorKind, Endpoint,
    ErrorPayload, InvalidInput, Operation, PathWriter, QueryWriter, RateLimit, RequestBody, Retry, Timeouts,
    UnreadableField,
};
pub use poll_run::PollRun;
pub use stream::{CollectedResponse, EventStream, TextStream};
pub use transport::{FileError, RequestBodyReader, ResponseBody, Transport, buffer_request};
#[cfg(feature = "hyper")]
pub use transport::{HyperTransport, HyperTransportBuilder};
