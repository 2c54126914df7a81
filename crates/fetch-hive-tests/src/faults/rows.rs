use std::io::Write as _;
use std::time::Duration;

use fetch_hive_client::RetryPolicy;
use fetch_hive_emulator::Fault;

use super::{BODY, Row, Server, Setting, Wall, Want, What};
use crate::stack::Need;

const SHORT: Duration = Duration::from_millis(150);
const DAILY: &str = r#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
const CONCURRENCY: &str = r#"{"error":"You've reached your concurrency limit."}"#;
const THROTTLED: &str = r#"{"error":"E","error_code":"too_many_requests"}"#;

fn setting() -> Setting {
    let mut policy = RetryPolicy::default();
    policy.base_delay = Duration::from_millis(20);
    Setting {
        base_url: String::new(),
        ca_pem: None,
        policy,
        deadline: Duration::from_secs(5),
        connect: Duration::from_secs(2),
        headers: None,
        idle: Duration::from_secs(2),
        max_response_bytes: 8 << 20,
        wall: Wall::Right,
    }
}

/// A row of an invoke that went wrong once and for all, was sent once, and may have run.
fn row(name: &'static str, result: &'static str, faults: impl IntoIterator<Item = Fault>) -> Row {
    let want = Want { result, attempts: 1, may_have_run: true, received: 1, runs: 0 };
    let faults = faults.into_iter().collect();
    let (what, server, needs) = (What::Invoke, Server::Http, Vec::new());
    Row { name, what, server, faults, setting: setting(), needs, calls: 1, want }
}

impl Row {
    fn over(mut self, server: Server) -> Self {
        self.server = server;
        match server {
            Server::Https | Server::HttpCalledByHttps | Server::NoName => self.needs(Need::Tls),
            Server::Http | Server::Nobody | Server::FullBacklog | Server::Restarting => self,
        }
    }

    fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    fn list(mut self) -> Self {
        self.what = What::List;
        self
    }

    fn stream(mut self) -> Self {
        self.what = What::Stream;
        self
    }

    /// It never reached the service, and was tried as often as may be.
    fn unsent(mut self) -> Self {
        self.want = Want { attempts: 3, may_have_run: false, received: 0, ..self.want };
        self
    }

    fn unstarted(mut self) -> Self {
        self.want.may_have_run = false;
        self
    }

    /// It went well in the end.
    fn well_after(mut self, attempts: u32) -> Self {
        let runs = usize::from(self.what == What::Invoke);
        self.want = Want { result: "ok", attempts, may_have_run: false, received: attempts as usize, runs };
        self
    }

    fn runs(mut self, runs: usize) -> Self {
        self.want.runs = runs;
        self
    }

    fn received(mut self, received: usize) -> Self {
        self.want.received = received;
        self
    }

    fn attempts(mut self, attempts: u32) -> Self {
        self.want.attempts = attempts;
        self
    }

    fn set(mut self, change: impl FnOnce(&mut Setting)) -> Self {
        change(&mut self.setting);
        self
    }
}

fn bomb() -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..100 {
        // Writing to memory does not fail.
        let _ = packer.write_all(&vec![b' '; 1 << 20]);
    }
    packer.finish().unwrap_or_default()
}

/// A whole reply of a run.
fn done() -> Fault {
    Fault::status(200)
        .header("content-type", "application/json")
        .body(format!("{{\"request_id\":\"req_1\",\"run_status\":\"completed\",\"output\":\"{BODY}\"}}"))
}

fn models() -> Fault {
    Fault::status(200).header("content-type", "application/json").body("[]").nth(1)
}

fn page(status: u16) -> Fault {
    Fault::status(status).header("content-type", "text/html").body(format!("<html>{BODY}</html>"))
}

fn events(body: &str) -> Fault {
    Fault::status(200).header("content-type", "text/event-stream").body(body.to_owned())
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = connections();
    rows.extend(exchanges());
    rows.extend(refusals());
    rows.extend(http2());
    rows.extend(streams());
    rows
}

fn connections() -> Vec<Row> {
    let certificate = |name, fault| row(name, "not_sent", [fault]).over(Server::Https).unsent();
    vec![
        row("the name does not exist", "not_sent", []).over(Server::NoName).unsent(),
        row("the connection is refused", "not_sent", []).over(Server::Nobody).unsent(),
        row("connecting hangs: the backlog is full", "timeout_connect", [])
            .over(Server::FullBacklog)
            .unsent()
            .set(|setting| setting.connect = SHORT),
        row("connecting hangs until the deadline", "timeout_connect", [])
            .over(Server::FullBacklog)
            .unsent()
            .needs(Need::ConnectLimit)
            .attempts(1)
            .set(|setting| setting.deadline = SHORT),
        row("TLS is not answered", "timeout_connect", [Fault::silent_connection()])
            .over(Server::Https)
            .unsent()
            .set(|setting| setting.connect = SHORT),
        row("TLS is answered in plain http", "not_sent", []).over(Server::HttpCalledByHttps).unsent(),
        certificate("the certificate is of another name", Fault::wrong_certificate_name()),
        certificate("the certificate is of an unknown issuer", Fault::unknown_issuer()),
        certificate("the certificate has expired", Fault::expired_certificate()),
        certificate("reset in the TLS handshake", Fault::reset_connection()),
        certificate("reset in the TLS handshake, once", Fault::reset_connection().nth(1)).well_after(2).received(1),
        row("reset before the request is read", "may_have_run", [Fault::reset_connection()]).received(0),
        row("the server is started anew between calls", "ok", []).over(Server::Restarting).well_after(1).set_calls(3),
    ]
}

impl Row {
    fn set_calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }
}

fn exchanges() -> Vec<Row> {
    let idle = |setting: &mut Setting| setting.idle = SHORT;
    vec![
        row("closed after the request is read", "may_have_run", [Fault::close()]),
        row("reset after the request is read", "may_have_run", [Fault::reset()]),
        row("reset when the run has ended", "may_have_run", [Fault::reset().after_run()]).runs(1),
        row("closed when the run has ended", "may_have_run", [Fault::close().after_run()]).runs(1),
        row("closed in the head", "may_have_run", [Fault::cut_head()]),
        row("closed in the body, against its length", "may_have_run", [done().cut_after(20)]),
        row("reset in the body", "may_have_run", [done().reset_after(20)]),
        row("no head ever comes: headers limit", "timeout_headers", [Fault::hang()]).set(|s| s.headers = Some(SHORT)),
        row("no head ever comes: deadline", "timeout_deadline", [Fault::hang()])
            .set(|setting| setting.deadline = SHORT),
        row("the run takes longer than the deadline", "timeout_deadline", [Fault::hang().after_run()])
            .runs(1)
            .set(|setting| setting.deadline = SHORT),
        row("the body stalls: idle limit", "timeout_idle", [done().stall_after(20)]).set(idle),
        row("the body stalls: deadline", "timeout_deadline", [done().stall_after(20)]).set(|s| s.deadline = SHORT),
        row("garbage instead of HTTP", "may_have_run", [Fault::garbage()]),
        row("a head of 100 KiB", "may_have_run", [done().header("x-huge", "x".repeat(100 << 10))])
            .needs(Need::HeadLimit),
        row("a body of 100 MiB", "too_large", [Fault::status(200).body(vec![b' '; 100 << 20])]),
        row(
            "a gzip bomb of 100 MiB",
            "too_large",
            [Fault::status(200).header("content-encoding", "gzip").body(bomb())],
        )
        .needs(Need::Gzip),
        row("damaged gzip", "may_have_run", [Fault::status(200).header("content-encoding", "gzip").body(BODY)])
            .needs(Need::Gzip),
        row("a page of HTML with status 200", "decode", [page(200)]),
        row("a reply without a body", "decode", [Fault::status(200)]),
        row("a list: closed once", "ok", [Fault::close().nth(1), models()]).list().well_after(2),
        row("a list: closed always", "may_have_run", [Fault::close()]).list().attempts(3).received(3),
    ]
}

fn refusals() -> Vec<Row> {
    let once = |status: u16, body: &'static str| Fault::status(status).body(body).nth(1);
    let opted = |setting: &mut Setting| setting.policy.retry_invokes_on_gateway_errors = true;
    let tomorrow = "Fri, 31 Dec 2100 00:00:00 GMT";
    vec![
        row("502 with a page of HTML", "502", [page(502)]),
        row("502 always, repeats opted in", "502", [page(502)]).attempts(3).received(3).set(opted),
        row("503 once, repeats opted in", "ok", [once(503, "")]).well_after(2).set(opted),
        row("500 without a body", "500", [Fault::status(500)]),
        row("503", "503", [Fault::status(503).header("retry-after", "0")]),
        row("504 when the run has ended", "504", [Fault::status(504).after_run()]).runs(1),
        row("408", "408", [Fault::status(408)]),
        row("401", "401", [Fault::status(401).body(r#"{"error":"Invalid access."}"#)]).unstarted(),
        row(
            "302 to another host: not followed",
            "302",
            [Fault::status(302).header("location", "https://example.com/")],
        )
        .unstarted(),
        row("429, daily cap", "429", [Fault::status(429).body(DAILY)]).unstarted(),
        row("429, daily cap with Retry-After", "429", [Fault::status(429).body(DAILY).header("retry-after", "0")])
            .unstarted(),
        row("429, concurrency, once", "ok", [once(429, CONCURRENCY)]).well_after(2),
        row("429, concurrency, always", "429", [Fault::status(429).body(CONCURRENCY)])
            .unstarted()
            .attempts(3)
            .received(3),
        row("429, throttled, once, Retry-After 50 ms", "ok", [once(429, THROTTLED).header("retry-after-ms", "50")])
            .well_after(2),
        row(
            "429, throttled, Retry-After beyond the deadline",
            "429",
            [once(429, THROTTLED).header("retry-after", "60")],
        )
        .unstarted(),
        row(
            "the clock jumps a day ahead, Retry-After is a date",
            "429",
            [once(429, "").header("retry-after", tomorrow)],
        )
        .unstarted()
        .set(|setting| setting.wall = Wall::Jumps(86_400)),
        row("the clock jumps beyond the date of Retry-After", "ok", [once(429, "").header("retry-after", tomorrow)])
            .well_after(2)
            .set(|setting| setting.wall = Wall::Jumps(100 * 365 * 86_400)),
        row("the clock jumps a day back in a call", "ok", [once(429, "")])
            .well_after(2)
            .set(|setting| setting.wall = Wall::Jumps(-86_400)),
        row("a list: 503 once", "ok", [once(503, ""), models()]).list().well_after(2),
        row("a list: 500 always", "500", [Fault::status(500)]).list().attempts(3).received(3),
    ]
}

fn http2() -> Vec<Row> {
    let row = |name, result, fault| row(name, result, [fault]).over(Server::Https).needs(Need::Http2);
    vec![
        row("HTTP/2: GOAWAY before the request, once", "ok", Fault::go_away(false).nth(1)).well_after(2).runs(1),
        row("HTTP/2: GOAWAY before the request, always", "not_sent", Fault::go_away(false)).unsent().received(3),
        row("HTTP/2: GOAWAY after the request, then closed", "may_have_run", Fault::go_away(true)),
        row("HTTP/2: GOAWAY when the run has ended", "may_have_run", Fault::go_away(true).after_run()).runs(1),
        row("HTTP/2: the stream is refused, once", "ok", Fault::reset_stream(7).nth(1)).well_after(2).runs(1),
        row("HTTP/2: the stream is reset", "may_have_run", Fault::reset_stream(2)),
        row("HTTP/2: the stream is reset when the run has ended", "may_have_run", Fault::reset_stream(2).after_run())
            .runs(1),
        row("HTTP/2: the connection is reset", "may_have_run", Fault::reset()),
        row("HTTP/2: garbage", "may_have_run", Fault::garbage()),
    ]
}

fn streams() -> Vec<Row> {
    let text = format!("data: {{\"type\":\"response\",\"response\":\"{BODY}\"}}\n\n");
    let failed = format!("{text}data: {{\"type\":\"error\",\"error\":\"overloaded\"}}\n\n");
    let huge = format!("data: {{\"type\":\"response\",\"response\":\"{}\"}}\n\n", BODY.repeat(10_000));
    vec![
        row("a stream without its end mark", "stream_cut", [events(&text)]).stream(),
        row("a stream that is closed midway", "may_have_run", [events(&text).cut_after(10)]).stream(),
        row("a stream that is reset midway", "may_have_run", [events(&text).reset_after(10)]).stream(),
        row("a stream that stalls", "timeout_idle", [events(&text).stall_after(10)]).stream().set(|s| s.idle = SHORT),
        row("a stream beyond its own deadline", "timeout_deadline", [events(&text).stall_after(10)])
            .stream()
            .set(|setting| setting.deadline = SHORT),
        row("a stream whose run fails", "stream_failed", [events(&failed)]).stream(),
        row("a stream that is a page of HTML", "not_a_stream", [page(200)]).stream(),
        row("an event that is larger than the limit", "stream", [events(&huge)])
            .stream()
            .set(|s| s.max_response_bytes = 50_000),
        row("a stream that is larger than a reply may be", "too_large", [events(&text.repeat(2_000))])
            .stream()
            .set(|setting| setting.max_response_bytes = 50_000),
        row("a stream: 429, then the stream", "ok", [Fault::status(429).nth(1)]).stream().well_after(2),
    ]
}
