use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_types::{ErrorBody, ErrorCode, EscapedLine, RequestId};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::UnreadableField;
use crate::lenient;
use crate::request_id::header_request_id;
use crate::verdict::{Verdict, is_processed};
use crate::{Operation, Retry};

/// An error response of the service, or of a proxy in front of it.
///
/// It keeps the whole response. `Display` and `Debug` show the status, the error code, the message
/// and the request id on one line, and never the body.
#[non_exhaustive]
pub struct ApiError {
    /// The name of the operation that failed, such as `invokeWorkflow`.
    pub operation: &'static str,
    /// The condition under which the operation may be retried.
    pub retry: Retry,
    /// Whether the operation starts a run.
    pub starts_run: bool,
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// The HTTP headers of the response.
    pub headers: HeaderMap,
    /// The response body as bytes.
    pub body: Bytes,
    /// The parsed body of the response.
    pub payload: ErrorPayload,
    /// The fields of the body that could not be read and are absent from the payload.
    pub unreadable: Vec<UnreadableField>,
}

/// The parsed body of an error response.
///
/// `Debug` shows only the name of the variant.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum ErrorPayload {
    /// An error object as documented in the
    /// [contract](fetch_hive_types::contract#errors-and-limits).
    Documented(Box<ErrorBody>),
    /// A JSON body that is not a documented error object.
    Json(Value),
    /// A body that is not JSON, such as the HTML page of a proxy or an empty body.
    ///
    /// The bytes are in [`ApiError::body`].
    Raw,
}

/// The limit that a 429 response reports.
///
/// See the [contract](fetch_hive_types::contract#errors-and-limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimit {
    /// The daily cap on API calls. A retry before midnight UTC fails again.
    DailyCap {
        /// The maximum number of calls per day.
        limit: Option<u64>,
        /// The number of calls made today.
        current: Option<u64>,
    },
    /// The limit on concurrent runs. Retry after a run has ended, or use callback delivery, which
    /// queues runs.
    Concurrency,
    /// A rate limit of the model provider or of a proxy.
    Throttled,
}

impl ApiError {
    /// Creates an error from a response whose status is not a success.
    pub fn new(operation: &Operation, response: http::Response<Bytes>) -> Self {
        let Operation { name: operation, retry, starts_run, .. } = *operation;
        let (parts, body) = response.into_parts();
        let (payload, unreadable) = parse_payload(&body);
        Self { operation, retry, starts_run, status: parts.status, headers: parts.headers, body, payload, unreadable }
    }

    /// Returns the documented error object, if the body contains one.
    pub fn documented(&self) -> Option<&ErrorBody> {
        match &self.payload {
            ErrorPayload::Documented(body) => Some(body),
            _ => None,
        }
    }

    /// Returns the error code, which is stable and not localized.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.documented()?.error_code.as_ref()
    }

    /// Returns the localized error message: the field `message`, or else the field `error`, which
    /// may also be an object with a `message`.
    pub fn message(&self) -> Option<&str> {
        let body = self.documented()?;
        let nested = body.error.as_ref().and_then(|error| error.get("message"));
        let values = [body.message.as_ref(), body.error.as_ref(), nested];
        values.into_iter().flatten().filter_map(Value::as_str).find(|text| !text.is_empty())
    }

    /// Returns the URL of the page where the plan can be upgraded, if the service sends it with a
    /// plan limit.
    pub fn upgrade_url(&self) -> Option<&str> {
        self.documented()?.upgrade_url.as_deref()
    }

    /// Returns the individual validation errors, if the service lists them.
    pub fn details(&self) -> &[Value] {
        self.documented().map_or(&[], |body| &body.errors)
    }

    /// Returns the id of the run, from the body or else from the `x-request-id` header.
    pub fn request_id(&self) -> Option<RequestId> {
        self.documented().and_then(|body| body.request_id.clone()).or_else(|| header_request_id(&self.headers))
    }

    /// Returns the limit that a 429 response reports, and `None` for other statuses.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        if self.status != StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        Some(match self.documented() {
            Some(body) => match body.error_code {
                Some(ErrorCode::ApiRateLimitExceeded) => {
                    RateLimit::DailyCap { limit: body.limit, current: body.current }
                }
                None | Some(ErrorCode::Other { .. }) => RateLimit::Concurrency,
                Some(_) => RateLimit::Throttled,
            },
            None => RateLimit::Throttled,
        })
    }

    /// Returns the time when the daily cap resets, which is the next midnight UTC after `now`.
    ///
    /// Returns `None` if the error does not report the daily cap.
    pub fn resets_at(&self, now: SystemTime) -> Option<SystemTime> {
        let Some(RateLimit::DailyCap { .. }) = self.rate_limit() else { return None };
        let today = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs((today + 1) * 86_400))
    }

    /// Returns the delay that the service asks for before a retry.
    ///
    /// Reads the header `retry-after-ms`, or else `Retry-After` in seconds or as a date, which is
    /// compared with `now`.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if let Some(milliseconds) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
            if let Ok(wait) = Duration::try_from_secs_f64(milliseconds / 1000.0) {
                return Some(wait);
            }
        }
        let value = text("retry-after")?;
        if let Ok(seconds) = value.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default())
    }

    /// Returns whether the operation may have started a run despite this error.
    ///
    /// This is the case for 5xx and unknown statuses. It is also the case for 408 and 499, which a
    /// proxy may send when the service responds slowly. It is never the case for an operation that
    /// starts no run.
    pub fn may_have_run(&self) -> bool {
        self.verdict().may_have_run
    }

    fn verdict(&self) -> Verdict {
        Verdict::new(self.retry, self.starts_run, is_processed(self.status), self.is_temporary())
    }

    /// Returns whether the same request may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => !matches!(self.rate_limit(), Some(RateLimit::DailyCap { .. })),
            status => matches!(status.as_u16(), 408 | 500 | 502..=504),
        }
    }

    /// Returns the URL of a redirect, without its query.
    fn location(&self) -> Option<&str> {
        let location = self.headers.get(LOCATION).filter(|_| self.status.is_redirection())?.to_str().ok()?;
        location.split(['?', '#']).next()
    }

    fn advice(&self) -> &'static str {
        match (self.status.as_u16(), self.rate_limit()) {
            (_, Some(RateLimit::DailyCap { .. })) => "; retry after midnight UTC, when the daily cap resets",
            (_, Some(RateLimit::Concurrency)) => {
                "; retry after a run has ended, or use callback delivery, which queues runs"
            }
            (_, Some(RateLimit::Throttled)) => "; retry later",
            (300..=399, _) => "; redirects are not followed, so check the base URL",
            (401, _) => "; check the API key or the webhook secret",
            (402, _) => "; check the plan and its credits",
            (404, _) => "; check the ids and the base URL",
            _ => match self.verdict() {
                Verdict { may_have_run: true, .. } if self.request_id().is_some() => {
                    "; the run may have started, so look it up before you invoke again"
                }
                Verdict { may_have_run: true, .. } => {
                    "; the run may have started, and its request id is unknown, so check its effects before you \
                     invoke again"
                }
                Verdict { may_have_taken_effect: true, .. } => "; it may have taken effect, so check before you retry",
                Verdict { is_retryable: true, .. } => "; it is safe to retry",
                _ => "",
            },
        }
    }
}

/// Parses the body of an error response as far as possible, so that no odd field hides the code.
fn parse_payload(body: &[u8]) -> (ErrorPayload, Vec<UnreadableField>) {
    let Ok(json) = lenient::to_value_or_salvage(body) else { return (ErrorPayload::Raw, Vec::new()) };
    match lenient::from_value::<ErrorBody>(&json.value) {
        Some(parsed) if parsed.value.error.is_some() || parsed.value.error_code.is_some() => {
            let unreadable = [json.unreadable, parsed.unreadable].concat();
            (ErrorPayload::Documented(Box::new(parsed.value)), unreadable)
        }
        _ => (ErrorPayload::Json(json.value), json.unreadable),
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed with {}", self.operation, self.status)?;
        if let Some(code) = self.code() {
            write!(f, " ({})", EscapedLine(code))?;
        }
        match (self.message(), &self.payload) {
            (Some(message), _) => write!(f, ": {}", EscapedLine(message.trim_end_matches('.')))?,
            (None, ErrorPayload::Raw) => write!(f, " and a body of {} bytes that is not JSON", self.body.len())?,
            (None, _) => {}
        }
        if let Some(location) = self.location() {
            write!(f, " to {}", EscapedLine(location))?;
        }
        if let Some(RateLimit::DailyCap { limit: Some(limit), current: Some(current) }) = self.rate_limit() {
            write!(f, " ({current} of {limit} calls)")?;
        }
        f.write_str(self.advice())
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("code", &self.code())
            .field("message", &self.message())
            .field("request_id", &self.request_id())
            .field("body_length", &self.body.len())
            .field("unreadable", &self.unreadable)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for ApiError {}

impl fmt::Debug for ErrorPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented(_) => "Documented(..)",
            Self::Json(_) => "Json(..)",
            Self::Raw => "Raw",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> ApiError {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        ApiError::new(
            &Operation::of::<fetch_hive_types::InvokeWorkflow>(),
            response.body(Bytes::copy_from_slice(body)).unwrap(),
        )
    }

    #[test]
    fn any_body_is_kept() {
        let html = error(502, &[("via", "proxy")], b"<html>Bad gateway</html>");
        assert_eq!(html.payload, ErrorPayload::Raw);
        assert_eq!(html.headers["via"], "proxy");
        assert_eq!(&html.body[..], b"<html>Bad gateway</html>");
        assert!(!format!("{html} {html:?}").contains("Bad gateway</"));
        for body in [&b""[..], b"\xff\xfe", b"[1]", b"\"text\"", b"{\"detail\":1}"] {
            let error = error(500, &[], body);
            assert_eq!((&error.body[..], error.code(), error.message()), (body, None, None));
        }
        let odd = error(422, &[], br#"{"error":{"deep":1},"code":"validation_error"}"#);
        assert_eq!(odd.code(), Some(&ErrorCode::ValidationError));
    }

    #[test]
    fn documented_error_objects_are_parsed() {
        let body = br#"{"error":"E","message":"M.","error_code":"model_deprecated","code":"x","errors":["a"],"request_id":"req_1"}"#;
        let full = error(422, &[], body);
        assert_eq!(full.code(), Some(&ErrorCode::ModelDeprecated));
        assert_eq!((full.message(), full.details().len()), (Some("M."), 1));
        assert_eq!(full.request_id().unwrap(), "req_1");
        assert_eq!(full.to_string(), "invokeWorkflow failed with 422 Unprocessable Entity (model_deprecated): M");
        let bare = error(401, &[("x-request-id", "req_2")], br#"{"error":"Invalid access."}"#);
        assert_eq!(bare.message(), Some("Invalid access."));
        assert_eq!(bare.request_id().unwrap(), "req_2");
        let unknown = error(409, &[], br#"{"error":"E","code":"brand_new"}"#);
        assert_eq!(unknown.code().unwrap().as_str(), "brand_new");
    }

    #[test]
    fn rate_limits_are_distinguished() {
        let daily =
            error(429, &[], br#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":101}"#);
        assert_eq!(daily.rate_limit(), Some(RateLimit::DailyCap { limit: Some(100), current: Some(101) }));
        let concurrency = error(429, &[], br#"{"error":"You've reached your concurrency limit."}"#);
        assert_eq!(concurrency.rate_limit(), Some(RateLimit::Concurrency));
        let throttled = error(429, &[], br#"{"error":"E","error_code":"too_many_requests"}"#);
        assert_eq!(throttled.rate_limit(), Some(RateLimit::Throttled));
        let unknown = error(429, &[], br#"{"error":"E","error_code":"concurrent_run_limit"}"#);
        assert_eq!(unknown.rate_limit(), Some(RateLimit::Concurrency));
        assert_eq!(error(429, &[], b"slow down").rate_limit(), Some(RateLimit::Throttled));
        assert_eq!(error(503, &[], b"").rate_limit(), None);
        assert!(daily.to_string().contains("(101 of 100 calls); retry after midnight UTC"), "{daily}");
    }

    #[test]
    fn odd_fields_do_not_hide_the_code() {
        let deep = "[".repeat(300) + &"]".repeat(300);
        for odd in [
            r#""limit":"1000""#.to_owned(),
            r#""limit":1000.0"#.to_owned(),
            r#""limit":1000,"current":{"n":1}"#.to_owned(),
            r#""limit":1000,"errors":{"base":["x"]},"request_id":7"#.to_owned(),
            r#""limit":1000,"supported_services":[5],"current":1e999"#.to_owned(),
            r#""limit":1000,"note":"cut \ud83d""#.to_owned(),
            format!(r#""limit":1000,"details":{deep}"#),
        ] {
            for prefix in ["", "\u{feff}"] {
                let body = format!(r#"{prefix}{{"error_code":"api_rate_limit_exceeded","message":"M",{odd}}}"#);
                let error = error(429, &[], body.as_bytes());
                assert_eq!(error.message(), Some("M"), "{odd}");
                assert_eq!(error.rate_limit(), Some(RateLimit::DailyCap { limit: Some(1000), current: None }), "{odd}");
            }
        }
        let nested = error(500, &[], br#"{"error":{"message":"M","type":"server_error"}}"#);
        assert_eq!(nested.message(), Some("M"));
        let plan =
            error(402, &[], br#"{"error":"E","code":"workspace_limit_reached","upgrade_url":"https://x/plans"}"#);
        assert_eq!(plan.upgrade_url(), Some("https://x/plans"));
    }

    #[test]
    fn daily_cap_resets_at_midnight_utc() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let daily = error(429, &[], br#"{"error":"E","error_code":"api_rate_limit_exceeded"}"#);
        for (now, reset) in [(0, 86_400), (86_399, 86_400), (86_400, 172_800), (1_767_268_799, 1_767_312_000)] {
            assert_eq!(daily.resets_at(at(now)), Some(at(reset)), "{now}");
        }
        // A clock set before 1970 must not cause a panic.
        assert_eq!(daily.resets_at(SystemTime::UNIX_EPOCH - Duration::from_secs(5)), Some(at(86_400)));
        assert_eq!(error(429, &[], b"").resets_at(at(0)), None);
    }

    #[test]
    fn retry_after_headers_are_parsed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(30));
        let past = httpdate::fmt_http_date(now - Duration::from_secs(30));
        for (header, value, want) in [
            ("retry-after", "2", Some(Duration::from_secs(2))),
            ("retry-after", " 0 ", Some(Duration::ZERO)),
            ("retry-after", date.as_str(), Some(Duration::from_secs(30))),
            ("retry-after", past.as_str(), Some(Duration::ZERO)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
            ("retry-after-ms", "250", Some(Duration::from_millis(250))),
        ] {
            assert_eq!(error(429, &[(header, value)], b"").retry_after(now), want, "{header}: {value}");
        }
    }
}
