//! The checks of the suite, one function per [`Check`].

mod connections;
mod messages;
mod response_body;
mod timeouts;

use super::check::Check;
use super::harness::{CheckResult, Harness};

/// Runs one check.
pub(super) async fn run_check(check: Check, harness: &Harness) -> CheckResult {
    match check {
        Check::Statuses => messages::statuses(harness).await,
        Check::Redirects => messages::redirects(harness).await,
        Check::HeadersFirst => response_body::headers_first(harness).await,
        Check::Streaming => response_body::streaming(harness).await,
        Check::LargeBody => response_body::large_body(harness).await,
        Check::TruncatedBody => response_body::truncated_body(harness).await,
        Check::EmptyBody => response_body::empty_body(harness).await,
        Check::Informational => messages::informational(harness).await,
        Check::RepeatedHeaders => messages::repeated_headers(harness).await,
        Check::Encoding => response_body::encoding(harness).await,
        Check::RequestHead => messages::request_head(harness).await,
        Check::Upload => messages::upload(harness).await,
        Check::EarlyResponse => messages::early_response(harness).await,
        Check::Cookies => messages::cookies(harness).await,
        Check::Concurrency => messages::concurrency(harness).await,
        Check::ConnectionRefused => connections::connection_refused(harness).await,
        Check::LostResponse => connections::lost_response(harness).await,
        Check::Retries => connections::retries(harness).await,
        Check::ConnectTimeout => timeouts::connect_timeout(harness).await,
        Check::DropRequest => connections::drop_request(harness).await,
        Check::DropBody => connections::drop_body(harness).await,
        Check::OwnTimeouts => timeouts::own_timeouts(harness).await,
    }
}
