//! Spans of calls and attempts, named by OpenTelemetry's conventions for HTTP clients.
//!
//! They contain no body, no key, no query, and no id of a path.

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::Span;
#[cfg(feature = "tracing")]
pub(crate) use enabled::Span;

/// The address of the service in spans and reports.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn of(base_url: &str) -> Self {
        let Ok(uri) = base_url.parse::<http::Uri>() else { return Self::default() };
        let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        Self { address: uri.host().unwrap_or_default().to_owned(), port: uri.port_u16().unwrap_or(default_port) }
    }
}

#[cfg(feature = "tracing")]
mod enabled {
    use std::future::Future;
    use std::time::Duration;

    use fetch_hive_core::Operation;
    use http::{StatusCode, Version};
    use tracing::field::Empty;
    use tracing::{Instrument as _, info, info_span};

    use super::Server;

    /// A span of `tracing`.
    #[derive(Clone, Debug)]
    pub(crate) struct Span(tracing::Span);

    impl Span {
        pub(crate) fn call(operation: &Operation) -> Self {
            Self(info_span!(
                target: "fetch_hive_client",
                "fetch_hive.call",
                otel.name = operation.name,
                otel.kind = "internal",
                otel.status_code = Empty,
                fetch_hive.operation = operation.name,
                fetch_hive.attempts = Empty,
                fetch_hive.waited = Empty,
                fetch_hive.queued = Empty,
                fetch_hive.request_id = Empty,
                error.type = Empty,
            ))
        }

        pub(crate) fn attempt(&self, operation: &Operation, server: &Server, attempt: u32) -> Self {
            let span = info_span!(
                target: "fetch_hive_client",
                parent: &self.0,
                "fetch_hive.attempt",
                otel.name = Empty,
                otel.kind = "client",
                otel.status_code = Empty,
                fetch_hive.operation = operation.name,
                fetch_hive.request_id = Empty,
                http.request.method = operation.method.as_str(),
                http.request.resend_count = Empty,
                http.response.status_code = Empty,
                http.client.request.duration = Empty,
                url.template = operation.path,
                server.address = server.address,
                server.port = server.port,
                network.protocol.version = Empty,
                error.type = Empty,
            );
            if !span.is_disabled() {
                span.record("otel.name", format_args!("{} {}", operation.method, operation.path));
                if attempt > 1 {
                    span.record("http.request.resend_count", attempt - 1);
                }
            }
            Self(span)
        }

        /// Returns whether a subscriber records the span.
        pub(crate) fn is_enabled(&self) -> bool {
            !self.0.is_disabled()
        }

        pub(crate) fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
            future.instrument(self.0.clone())
        }

        pub(crate) fn response_head(&self, status: StatusCode, version: Version) {
            self.0.record("http.response.status_code", status.as_u16());
            let version = match version {
                Version::HTTP_2 => "2",
                Version::HTTP_3 => "3",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            };
            self.0.record("network.protocol.version", version);
        }

        pub(crate) fn request_id(&self, id: &str) {
            self.0.record("fetch_hive.request_id", id);
        }

        pub(crate) fn duration(&self, duration: Duration) {
            self.0.record("http.client.request.duration", duration.as_secs_f64());
        }

        pub(crate) fn counts(&self, attempts: u32, waited: Duration, queued: Duration) {
            self.0.record("fetch_hive.attempts", attempts);
            self.0.record("fetch_hive.waited", waited.as_secs_f64());
            self.0.record("fetch_hive.queued", queued.as_secs_f64());
        }

        pub(crate) fn failed(&self, error_type: &str) {
            self.0.record("error.type", error_type);
            self.0.record("otel.status_code", "ERROR");
        }

        /// Logs a retry, with its cause and the wait in seconds.
        pub(crate) fn retry(&self, operation: &Operation, attempts: u32, error_type: &str, wait: Duration) {
            info!(
                target: "fetch_hive_client",
                parent: &self.0,
                {
                    fetch_hive.operation = operation.name,
                    fetch_hive.attempts = attempts,
                    fetch_hive.wait = wait.as_secs_f64(),
                    error.type = error_type,
                },
                "the call is retried"
            );
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use std::future::Future;
    use std::time::Duration;

    use fetch_hive_core::Operation;
    use http::{StatusCode, Version};

    use super::Server;

    /// A span without effect: the feature `tracing` is disabled.
    #[derive(Clone, Debug)]
    pub(crate) struct Span;

    #[allow(clippy::unused_self, reason = "the methods match those of the enabled span")]
    impl Span {
        pub(crate) fn call(_: &Operation) -> Self {
            Self
        }

        pub(crate) fn attempt(&self, _: &Operation, _: &Server, _: u32) -> Self {
            Self
        }

        pub(crate) fn is_enabled(&self) -> bool {
            false
        }

        pub(crate) fn instrument<F: Future>(&self, future: F) -> F {
            future
        }

        pub(crate) fn response_head(&self, _: StatusCode, _: Version) {}

        pub(crate) fn request_id(&self, _: &str) {}

        pub(crate) fn duration(&self, _: Duration) {}

        pub(crate) fn counts(&self, _: u32, _: Duration, _: Duration) {}

        pub(crate) fn failed(&self, _: &str) {}

        pub(crate) fn retry(&self, _: &Operation, _: u32, _: &str, _: Duration) {}
    }
}
