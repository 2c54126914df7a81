use std::io::Write as _;
use std::time::Duration;

use fetch_hive_client::RetryPolicy;
use fetch_hive_emulator::Fault;

use super::{BODY, Operation, Row, Settings, Summary, Target, WallClock};
use crate::stack::Need;

const SHORT: Duration = Duration::from_millis(150);
const DAILY_CAP: &str = r#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
const CONCURRENCY_LIMIT: &str = r#"{"error":"You've reached your concurrency limit."}"#;
const THROTTLED: &str = r#"{"error":"E","error_code":"too_many_requests"}"#;

fn settings() -> Settings {
    let mut policy = RetryPolicy::default();
    policy.base_delay = Duration::from_millis(20);
    Settings {
        base_url: String::new(),
        ca_pem: None,
        policy,
        deadline: Duration::from_secs(5),
        connect: Duration::from_secs(2),
        headers: None,
        idle: Duration::from_secs(2),
        max_response_bytes: 8 << 20,
        wall_clock: WallClock::Correct,
    }
}

/// Creates a row for a workflow call that is sent once, fails, and may have run.
fn row(name: &'static str, result: &'static str, faults: impl IntoIterator<Item = Fault>) -> Row {
    Row {
        name,
        operation: Operation::InvokeWorkflow,
        target: Target::Http,
        faults: faults.into_iter().collect(),
        settings: settings(),
        needs: Vec::new(),
        calls: 1,
        expected: Summary { result, attempts: 1, may_have_run: true, received: 1, runs: 0 },
    }
}

impl Row {
    fn target(mut self, target: Target) -> Self {
        self.target = target;
        match target {
            Target::Https | Target::HttpCalledByHttps | Target::UnknownHost => self.needs(Need::Tls),
            Target::Http | Target::ClosedPort | Target::FullBacklog | Target::Restarting => self,
        }
    }

    fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// Calls the list of models, which starts no run.
    fn list(mut self) -> Self {
        self.operation = Operation::ListModels;
        self.not_started()
    }

    fn stream(mut self) -> Self {
        self.operation = Operation::StreamPrompt;
        self
    }

    fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// Expects that the request never reached the service, in three attempts.
    fn not_sent(mut self) -> Self {
        self.expected = Summary { attempts: 3, may_have_run: false, received: 0, ..self.expected };
        self
    }

    fn not_started(mut self) -> Self {
        self.expected.may_have_run = false;
        self
    }

    /// Expects success after the number of attempts.
    fn ok_after(mut self, attempts: u32) -> Self {
        let runs = usize::from(self.operation == Operation::InvokeWorkflow);
        self.expected = Summary { result: "ok", attempts, may_have_run: false, received: attempts as usize, runs };
        self
    }

    fn runs(mut self, runs: usize) -> Self {
        self.expected.runs = runs;
        self
    }

    fn received(mut self, received: usize) -> Self {
        self.expected.received = received;
        self
    }

    fn attempts(mut self, attempts: u32) -> Self {
        self.expected.attempts = attempts;
        self
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }
}

/// Returns 100 MiB of spaces, compressed with gzip.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..100 {
        // Writing to memory does not fail.
        let _ = encoder.write_all(&vec![b' '; 1 << 20]);
    }
    encoder.finish().unwrap_or_default()
}

/// Returns the whole response of a completed run.
fn completed() -> Fault {
    Fault::status(200)
        .header("content-type", "application/json")
        .body(format!("{{\"request_id\":\"req_1\",\"run_status\":\"completed\",\"output\":\"{BODY}\"}}"))
}

fn models() -> Fault {
    Fault::status(200).header("content-type", "application/json").body("[]").nth(1)
}

fn html_page(status: u16) -> Fault {
    Fault::status(status).header("content-type", "text/html").body(format!("<html>{BODY}</html>"))
}

fn events(body: &str) -> Fault {
    Fault::status(200).header("content-type", "text/event-stream").body(body.to_owned())
}

/// Returns the rows of the table.
pub fn rows() -> Vec<Row> {
    let mut rows = connections();
    rows.extend(responses());
    rows.extend(error_responses());
    rows.extend(more_statuses());
    rows.extend(http2());
    rows.extend(streams());
    rows
}

fn connections() -> Vec<Row> {
    let tls_failure = |name, fault| row(name, "not_sent", [fault]).target(Target::Https).not_sent();
    vec![
        row("unknown host name", "not_sent", []).target(Target::UnknownHost).not_sent(),
        row("connection refused", "not_sent", []).target(Target::ClosedPort).not_sent(),
        row("full connection queue, connect timeout", "timeout_connect", [])
            .target(Target::FullBacklog)
            .not_sent()
            .set(|settings| settings.connect = SHORT),
        row("full connection queue, deadline", "timeout_connect", [])
            .target(Target::FullBacklog)
            .not_sent()
            .needs(Need::ConnectTimeout)
            .attempts(1)
            .set(|settings| settings.deadline = SHORT),
        row("no answer to the TLS handshake", "timeout_connect", [Fault::silent_connection()])
            .target(Target::Https)
            .not_sent()
            .set(|settings| settings.connect = SHORT),
        row("plain HTTP instead of TLS", "not_sent", []).target(Target::HttpCalledByHttps).not_sent(),
        tls_failure("certificate for another host name", Fault::wrong_certificate_name()),
        tls_failure("certificate of an unknown issuer", Fault::unknown_issuer()),
        tls_failure("expired certificate", Fault::expired_certificate()),
        tls_failure("reset in the TLS handshake", Fault::reset_connection()),
        tls_failure("reset in the TLS handshake, once", Fault::reset_connection().nth(1)).ok_after(2).received(1),
        row("reset before the request is read", "may_have_run", [Fault::reset_connection()]).received(0),
        row("server restarted between calls", "ok", []).target(Target::Restarting).ok_after(1).calls(3),
    ]
}

fn responses() -> Vec<Row> {
    let idle = |settings: &mut Settings| settings.idle = SHORT;
    let gzip = || Fault::status(200).header("content-encoding", "gzip");
    vec![
        row("closed after the request is read", "may_have_run", [Fault::close()]),
        row("reset after the request is read", "may_have_run", [Fault::reset()]),
        row("reset after the run has ended", "may_have_run", [Fault::reset().after_run()]).runs(1),
        row("closed after the run has ended", "may_have_run", [Fault::close().after_run()]).runs(1),
        row("closed within the response head", "may_have_run", [Fault::cut_head()]),
        row("closed before the announced end of the body", "may_have_run", [completed().cut_after(20)]),
        row("reset within the body", "may_have_run", [completed().reset_after(20)]),
        row("no response head, headers timeout", "timeout_headers", [Fault::hang()])
            .set(|settings| settings.headers = Some(SHORT)),
        row("no response head, deadline", "timeout_deadline", [Fault::hang()])
            .set(|settings| settings.deadline = SHORT),
        row("run takes longer than the deadline", "timeout_deadline", [Fault::hang().after_run()])
            .runs(1)
            .set(|settings| settings.deadline = SHORT),
        row("stalled body, idle timeout", "timeout_idle", [completed().stall_after(20)]).set(idle),
        row("stalled body, deadline", "timeout_deadline", [completed().stall_after(20)])
            .set(|settings| settings.deadline = SHORT),
        row("response is not HTTP", "may_have_run", [Fault::garbage()]),
        row("response head of 100 KiB", "may_have_run", [completed().header("x-huge", "x".repeat(100 << 10))])
            .needs(Need::HeadLimit),
        row("response body of 100 MiB", "too_large", [Fault::status(200).body(vec![b' '; 100 << 20])]),
        row("gzip body that decompresses to 100 MiB", "too_large", [gzip().body(gzip_bomb())]).needs(Need::Gzip),
        row("invalid gzip body", "may_have_run", [gzip().body(&b"\x1f\x8bnot gzip"[..])]).needs(Need::Gzip),
        row("HTML page with status 200", "decode", [html_page(200)]),
        row("empty body with status 200", "decode", [Fault::status(200)]),
        row("list: closed once", "ok", [Fault::close().nth(1), models()]).list().ok_after(2),
        row("list: closed every time", "may_have_run", [Fault::close()]).list().attempts(3).received(3),
    ]
}

fn error_responses() -> Vec<Row> {
    let once = |status: u16, body: &'static str| Fault::status(status).body(body).nth(1);
    let opt_in = |settings: &mut Settings| settings.policy.retry_invokes_on_gateway_errors = true;
    let far_future = "Fri, 31 Dec 2100 00:00:00 GMT";
    vec![
        row("502 with an HTML page", "502", [html_page(502)]),
        row("502 every time, gateway retries on", "502", [html_page(502)]).attempts(3).received(3).set(opt_in),
        row("503 once, gateway retries on", "ok", [once(503, "")]).ok_after(2).set(opt_in),
        row("500 with an empty body", "500", [Fault::status(500)]),
        row("503 with Retry-After", "503", [Fault::status(503).header("retry-after", "0")]),
        row("504 after the run has ended", "504", [Fault::status(504).after_run()]).runs(1),
        row("408", "408", [Fault::status(408)]),
        row("401", "401", [Fault::status(401).body(r#"{"error":"Invalid access."}"#)]).not_started(),
        row(
            "302 to another host, not followed",
            "302",
            [Fault::status(302).header("location", "https://example.com/")],
        )
        .not_started(),
        row("429, daily cap", "429", [Fault::status(429).body(DAILY_CAP)]).not_started(),
        row("429, daily cap with Retry-After", "429", [Fault::status(429).body(DAILY_CAP).header("retry-after", "0")])
            .not_started(),
        row("429, concurrency limit, once", "ok", [once(429, CONCURRENCY_LIMIT)]).ok_after(2),
        row("429, concurrency limit, every time", "429", [Fault::status(429).body(CONCURRENCY_LIMIT)])
            .not_started()
            .attempts(3)
            .received(3),
        row("429, throttled once, Retry-After 50 ms", "ok", [once(429, THROTTLED).header("retry-after-ms", "50")])
            .ok_after(2),
        row(
            "429, throttled, Retry-After beyond the deadline",
            "429",
            [once(429, THROTTLED).header("retry-after", "60")],
        )
        .not_started(),
        row("Retry-After date, clock jumps ahead by a day", "429", [once(429, "").header("retry-after", far_future)])
            .not_started()
            .set(|settings| settings.wall_clock = WallClock::Jumps(86_400)),
        row("Retry-After date, clock jumps beyond it", "ok", [once(429, "").header("retry-after", far_future)])
            .ok_after(2)
            .set(|settings| settings.wall_clock = WallClock::Jumps(100 * 365 * 86_400)),
        row("clock jumps back by a day during a call", "ok", [once(429, "")])
            .ok_after(2)
            .set(|settings| settings.wall_clock = WallClock::Jumps(-86_400)),
        row("list: 503 once", "ok", [once(503, ""), models()]).list().ok_after(2),
        row("list: 500 every time", "500", [Fault::status(500)]).list().attempts(3).received(3),
    ]
}

fn more_statuses() -> Vec<Row> {
    let once = |status: u16| Fault::status(status).nth(1);
    let redirect = |status: u16| Fault::status(status).header("location", "https://example.com/v2?token=1");
    let opt_in = |settings: &mut Settings| settings.policy.retry_invokes_on_gateway_errors = true;
    vec![
        row("301, not followed", "301", [redirect(301)]).not_started(),
        row("307, not followed", "307", [redirect(307)]).not_started(),
        row("308, not followed", "308", [redirect(308)]).not_started(),
        row("402", "402", [Fault::status(402)]).not_started(),
        row("403 with an HTML page", "403", [html_page(403)]).not_started(),
        row("404 with an HTML page", "404", [html_page(404)]).not_started(),
        row("407", "407", [Fault::status(407)]).not_started(),
        row("409", "409", [Fault::status(409)]).not_started(),
        row("413 with an HTML page", "413", [html_page(413)]).not_started(),
        row("422", "422", [Fault::status(422)]).not_started(),
        row("501", "501", [Fault::status(501)]),
        row("520 with an HTML page", "520", [html_page(520)]),
        row("599 with an empty body", "599", [Fault::status(599)]),
        row("502 once, gateway retries on", "ok", [once(502)]).ok_after(2).set(opt_in),
        row("504 once, gateway retries on", "ok", [once(504)]).ok_after(2).set(opt_in),
        row("500, gateway retries on", "500", [Fault::status(500)]).set(opt_in),
        row("list: 307, not followed", "307", [redirect(307)]).list(),
        row("list: 401", "401", [Fault::status(401)]).list(),
        row("list: 407", "407", [Fault::status(407)]).list(),
        row("list: 408 once", "ok", [once(408), models()]).list().ok_after(2),
        row("list: 429, daily cap", "429", [Fault::status(429).body(DAILY_CAP)]).list(),
        row("list: 501", "501", [Fault::status(501)]).list(),
        row("list: 502 once", "ok", [once(502), models()]).list().ok_after(2),
        row("list: 503 every time", "503", [Fault::status(503)]).list().attempts(3).received(3),
        row("list: 504 once", "ok", [once(504), models()]).list().ok_after(2),
        row("list: HTML page with status 200", "decode", [html_page(200)]).list(),
        row("list: gzip body of zero bytes", "decode", [Fault::status(200).header("content-encoding", "gzip")])
            .list()
            .needs(Need::Gzip),
        row("stream: 401", "401", [Fault::status(401)]).stream().not_started(),
        row("stream: 503", "503", [Fault::status(503)]).stream(),
    ]
}

fn http2() -> Vec<Row> {
    let row = |name, result, fault| row(name, result, [fault]).target(Target::Https).needs(Need::Http2);
    vec![
        row("HTTP/2: GOAWAY before the request, once", "ok", Fault::go_away(false).nth(1)).ok_after(2).runs(1),
        row("HTTP/2: GOAWAY before the request, every time", "not_sent", Fault::go_away(false)).not_sent().received(3),
        row("HTTP/2: GOAWAY after the request, then closed", "may_have_run", Fault::go_away(true)),
        row("HTTP/2: GOAWAY after the run has ended", "may_have_run", Fault::go_away(true).after_run()).runs(1),
        row("HTTP/2: stream refused, once", "ok", Fault::reset_stream(7).nth(1)).ok_after(2).runs(1),
        row("HTTP/2: stream reset", "may_have_run", Fault::reset_stream(2)),
        row("HTTP/2: stream reset after the run has ended", "may_have_run", Fault::reset_stream(2).after_run()).runs(1),
        row("HTTP/2: connection reset", "may_have_run", Fault::reset()),
        row("HTTP/2: response is not HTTP/2", "may_have_run", Fault::garbage()),
    ]
}

fn streams() -> Vec<Row> {
    let text = format!("data: {{\"type\":\"response\",\"response\":\"{BODY}\"}}\n\n");
    let failed = format!("{text}data: {{\"type\":\"error\",\"error\":\"overloaded\"}}\n\n");
    let untyped = format!("{text}data: {{\"error\":\"overloaded\"}}\n\ndata: [DONE]\n\n");
    let huge = format!("data: {{\"type\":\"response\",\"response\":\"{}\"}}\n\n", BODY.repeat(10_000));
    vec![
        row("stream: ends without its end marker", "stream_cut", [events(&text)]).stream(),
        row("stream: closed within an event", "may_have_run", [events(&text).cut_after(10)]).stream(),
        row("stream: reset within an event", "may_have_run", [events(&text).reset_after(10)]).stream(),
        row("stream: stalled, idle timeout", "timeout_idle", [events(&text).stall_after(10)])
            .stream()
            .set(|settings| settings.idle = SHORT),
        row("stream: stalled, deadline of the stream", "timeout_deadline", [events(&text).stall_after(10)])
            .stream()
            .set(|settings| settings.deadline = SHORT),
        row("stream: error event", "stream_failed", [events(&failed)]).stream(),
        row("stream: error without a type, then the end marker", "stream_failed", [events(&untyped)]).stream(),
        row("stream: a comment and no events", "stream_cut", [events(": open\n\n")]).stream(),
        row("stream: no events", "not_a_stream", [events("")]).stream(),
        row("stream: HTML page with status 200", "not_a_stream", [html_page(200)]).stream(),
        row("stream: event larger than the limit", "stream", [events(&huge)])
            .stream()
            .set(|settings| settings.max_response_bytes = 50_000),
        row("stream: total size larger than the limit", "too_large", [events(&text.repeat(2_000))])
            .stream()
            .set(|settings| settings.max_response_bytes = 50_000),
        row("stream: 429 once", "ok", [Fault::status(429).nth(1)]).stream().ok_after(2),
    ]
}
