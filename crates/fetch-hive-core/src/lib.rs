#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod callback;
pub mod lenient;
pub mod retry;
pub mod signature;
pub mod sse;
pub mod stream;

mod api;
mod api_error;
mod approval_pager;
mod base_url;
mod body;
mod checks;
mod endpoint;
mod endpoints;
mod error;
mod invalid_input;
mod key_header;
mod multipart;
mod operation;
mod path;
mod query;
mod request_body;
mod request_id;
mod response;
mod secret_in_query;
mod sha256;
mod timeouts;
mod url;
mod verdict;

pub use fetch_hive_types as types;

pub use api::{Api, WEBHOOK_SECRET_HEADER};
pub use api_error::{ApiError, ErrorPayload, RateLimit};
pub use approval_pager::{ApprovalPager, RepeatedCursor};
pub use base_url::{BaseUrl, DEFAULT_BASE_URL};
pub use body::Body;
pub use endpoint::{Auth, Endpoint, Retry};
pub use error::{DecodeError, Error};
pub use invalid_input::InvalidInput;
pub use key_header::KeyHeader;
pub use lenient::{DecodeErrorKind, UnreadableField};
pub use operation::Operation;
pub use path::PathWriter;
pub use query::QueryWriter;
pub use request_body::{BodyPiece, ProgressHook, RequestBody};
pub use request_id::find_request_id;
pub use response::{ApiResponse, ApiResponseParts, parse_raw_response, parse_response};
pub use secret_in_query::SecretInQuery;
pub use timeouts::Timeouts;
pub use url::{check_host_and_port, is_loopback};
