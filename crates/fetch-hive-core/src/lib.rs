#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod callback;
pub mod engine;
pub mod signature;
pub mod sse;
pub mod stream;

mod api;
mod api_error;
mod checks;
mod endpoint;
mod endpoints;
mod error;
mod invalid;
mod multipart;
mod operation;
mod pager;
mod path;
mod response;
mod url;

pub use fetch_hive_types as types;

pub use api::{Api, KeyHeader, WEBHOOK_SECRET_HEADER, parse_raw_response, parse_response};
pub use api_error::{ApiError, ErrorPayload, RateLimit};
pub use endpoint::{Auth, Body, Endpoint, Retry};
pub use endpoints::SecretInQuery;
pub use error::{DecodeError, Error, find_request_id};
pub use invalid::InvalidInput;
pub use operation::{Timeouts, Operation};
pub use pager::{ApprovalPager, RepeatedCursor};
pub use path::{PathWriter, QueryWriter};
pub use response::{ApiResponse, ApiResponseParts};
pub use url::{BaseUrl, DEFAULT_BASE_URL, is_loopback};
