//! `fetch-hive callback listen`.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use clap::Args;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{
    Delivery, MemoryDedupStore, Outcome, Receiver, SIGNATURE_HEADER, SecretSource, UnverifiedDelivery, Verifier,
};
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_store::StoreSecrets;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::forward::Forward;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::keys::secret_from_env;
use crate::output::Output;
use crate::run::output_text;
use crate::text::{one_line, utc};

const EXAMPLES: &str = "\
Examples:
  fetch-hive callback listen --forward-to http://localhost:3000/hooks --record events.jsonl
  fetch-hive callback listen --secret-env SECRET --count 1 --json
  fetch-hive --emulate callback listen                   # no public URL is needed

The service needs a public https URL, so put a tunnel in front of the port. Secrets of runs that
`workflow run --callback` started from this machine are known already.";

/// The largest body that is accepted.
const MAX_BODY: usize = 4 << 20;

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Listen {
    /// The port to listen on; 0 selects a free port
    #[arg(long, value_name = "PORT", default_value_t = 4000)]
    port: u16,
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Forward each verified callback to this URL; the service redelivers it if that fails
    #[arg(long, value_name = "URL")]
    forward_to: Option<http::Uri>,
    /// Append each verified callback to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// An environment variable that contains a webhook secret
    #[arg(long, value_name = "NAME")]
    secret_env: Vec<String>,
    /// Stop after this many events
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// What every connection shares.
struct Shared {
    receiver: Receiver,
    out: Output,
    forward: Option<Forward>,
    record: Option<File>,
    handled: AtomicU64,
    count: Option<u64>,
    done: Notify,
    /// The first failed write to standard output.
    closed: OnceLock<Failure>,
}

pub(super) async fn execute(command: Listen, context: &Context) -> Result<()> {
    let forward = command.forward_to.map(Forward::new).transpose()?;
    let record = command.record.as_deref().map(open_record).transpose()?;
    let secrets = command.secret_env.iter().map(|name| secret_from_env(name)).collect::<Result<Vec<_>>>()?;
    let has_secrets = !secrets.is_empty();
    let mut receiver = Receiver::new(Verifier::new(secrets)).dedup(MemoryDedupStore::new()).max_body_bytes(MAX_BODY);
    match context.store().await {
        Ok(store) => receiver = receiver.secret_source(Fresh { secrets: store.secrets(), look_ups: AtomicU64::new(0) }),
        Err(failure) if has_secrets => {
            context.out.warn(&format!("only the secrets of --secret-env are used: {failure}"));
        }
        Err(failure) => return Err(failure),
    }
    let out = context.out.clone();
    receiver = receiver.on_delivery(move |report| note_outcome(&out, report.outcome));
    let address = SocketAddr::new(command.host, command.port);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let next = match error.kind() {
            ErrorKind::AddrNotAvailable => "pass an address of this machine to `--host`, such as 127.0.0.1 or 0.0.0.0",
            _ => "pass another `--port`, such as 0",
        };
        Failure::usage(format!("cannot listen on {address}: {error}")).next(next)
    })?;
    let address = listener.local_addr().unwrap_or(address);
    announce(context, address).await?;
    let shared = Arc::new(Shared {
        receiver,
        out: context.out.clone(),
        forward,
        record,
        handled: AtomicU64::new(0),
        count: command.count,
        done: Notify::new(),
        closed: OnceLock::new(),
    });
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(serve(TokioIo::new(stream), Arc::clone(&shared)))),
                // Such as too many open files, which passes.
                Err(error) => context.out.warn(&format!("cannot accept a connection: {error}")),
            },
            () = shared.done.notified() => {
                // The last response is on its way.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                return shared.closed.get().map_or(Ok(()), |failure| Err(failure.clone()));
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

async fn announce(context: &Context, address: SocketAddr) -> Result<()> {
    context.out.note(&format!("listening on http://{address}"));
    let service = context.base_url().await?;
    #[cfg(feature = "emulator")]
    if context.emulates() {
        let url = service.unwrap_or_default();
        context.out.note(&format!(
            "no public URL is needed with the emulator at {url}; from another terminal:\n  \
             FETCH_HIVE_API_KEY=fhk_any fetch-hive --base-url {url} workflow run demo --callback http://{address}"
        ));
        return Ok(());
    }
    if service.is_some_and(|url| url.starts_with("http://")) {
        context.out.note(&format!("no public URL is needed with an emulator; use the callback URL http://{address}"));
    } else if address.ip().is_loopback() {
        context.out.note(&format!(
            "the service needs a public https URL: point a tunnel at port {}, and pass its URL to `--callback`",
            address.port()
        ));
    }
    Ok(())
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // A client that breaks its connection is no error of the receiver.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(stream, service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<String> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY + 1).collect().await else {
        let mut response = Response::new(r#"{"error":"the body is too large or incomplete"}"#.to_owned());
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let body = body.to_bytes();
    let headers = parts.headers.clone();
    let path = parts.uri.path().to_owned();
    let request = Request::from_parts(parts, body.clone());
    shared
        .receiver
        .receive_bytes(request, async |delivery| shared.handle(&delivery, &path, &headers, &body).await)
        .await
}

impl Shared {
    /// Records, forwards and prints an event. An error makes the service redeliver it.
    async fn handle(
        &self,
        delivery: &Delivery,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> std::result::Result<(), BoxError> {
        if let Some(forward) = &self.forward {
            forward.send(headers, body).await?;
        }
        if let Some(file) = &self.record {
            append(file, path, headers, body).map_err(|error| format!("cannot write to --record: {error}"))?;
        }
        if let Err(failure) = self.print(delivery, body) {
            self.output_failed(failure);
        }
        let handled = self.handled.fetch_add(1, Ordering::Relaxed) + 1;
        if self.count.is_some_and(|count| handled >= count) {
            self.done.notify_one();
        }
        Ok(())
    }

    fn print(&self, delivery: &Delivery, body: &Bytes) -> Result<()> {
        if self.out.wants_json() { self.out.json_line(body) } else { self.out.text(&describe(delivery)) }
    }

    /// Stops the command unless it also records or forwards. The callback is not refused, because a
    /// redelivery would fail in the same way.
    fn output_failed(&self, failure: Failure) {
        let is_first = self.closed.set(failure).is_ok();
        if self.record.is_none() && self.forward.is_none() {
            self.done.notify_one();
        } else if is_first {
            self.out.warn("standard output is closed; callbacks are still recorded and forwarded");
        }
    }
}

/// Describes an event on a line.
fn describe(delivery: &Delivery) -> String {
    let event = &delivery.event;
    let kind = event.event_type.as_ref().map_or("event", |kind| kind.as_str());
    let id = event.request_id.as_ref().map_or("", |id| id.as_str());
    let output = match event.to_run().into_output() {
        Ok(output) => output_text(&output),
        Err(_) => event.error().or_else(|| event.response()).unwrap_or_default().to_owned(),
    };
    one_line(format!("{kind} {id} {output}").trim())
}

/// Opens the file of `--record`, which only its owner can read.
fn open_record(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Failure::file("open --record", path, &error))
}

/// Appends a callback to the file of `--record`.
fn append(mut file: &File, path: &str, headers: &HeaderMap, body: &Bytes) -> std::io::Result<()> {
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    let body = match serde_json::from_slice::<Value>(body) {
        // The text is the one that is signed.
        Ok(_) => json!(String::from_utf8_lossy(body)),
        Err(_) => Value::Null,
    };
    let time = utc(std::time::SystemTime::now());
    let line = json!({ "received": time, "path": path, "signature": signature, "body": body });
    file.write_all(format!("{line}\n").as_bytes())
}

fn note_outcome(out: &Output, outcome: &Outcome) {
    match outcome {
        Outcome::Handled(_) => {}
        Outcome::AlreadyHandled(_) => out.note("redelivered; it was handled before"),
        Outcome::HandlerFailed { error, .. } => {
            out.warn(&format!(
                "{}; answered with 500, so that the service redelivers it",
                one_line(&error.to_string())
            ));
        }
        Outcome::Rejected(error) => out.warn(&format!(
            "refused with {}: {}; if it is genuine, pass its secret with --secret-env",
            outcome.status().as_u16(),
            one_line(&error.to_string())
        )),
        other => out.note(&format!("answered with {} ({})", other.status().as_u16(), other.kind())),
    }
}

/// The secrets in the store, without the cache of the receiver, because another process adds them
/// while this one runs.
struct Fresh {
    secrets: StoreSecrets,
    look_ups: AtomicU64,
}

#[async_trait]
impl SecretSource for Fresh {
    async fn secrets(&self, delivery: &UnverifiedDelivery<'_>) -> std::result::Result<Vec<WebhookSecret>, BoxError> {
        self.secrets.secrets(delivery).await
    }

    fn cache_key(&self, _: &UnverifiedDelivery<'_>) -> String {
        self.look_ups.fetch_add(1, Ordering::Relaxed).to_string()
    }
}
