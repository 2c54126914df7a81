//! The page at `/_emulator/`, and the endpoints that it uses.

mod samples;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::callbacks::delivery;
use crate::http::response::{ConnectionBroken, Response, error_response, json_response, raw_response};
use crate::state::State;
use crate::state::traffic::delivery_json;

const PAGE: &str = include_str!("page.html");

/// The maximum number of requests, and of delivery attempts, that the page shows.
const MAX_LISTED: usize = 500;

pub(crate) async fn handle(state: &Arc<State>, method: &Method, segments: &[&str]) -> Response {
    match (method, segments) {
        (&Method::GET, [""]) => page(),
        (&Method::GET, ["log"]) => json_response(200, &log(state)),
        (&Method::GET, ["log", number]) => details(state, number),
        (&Method::GET, ["live"]) => live(state),
        (&Method::GET, ["operations"]) => json_response(200, samples::operations()),
        (&Method::POST, ["callbacks", number, "replay"]) => replay(state, number).await,
        _ => error_response(404, "", "There is no such path here. The page is at /_emulator/."),
    }
}

fn page() -> Response {
    let mut response = raw_response(StatusCode::OK, &[], Bytes::from_static(PAGE.as_bytes()));
    for (name, value) in [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:",
        ),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        response.headers_mut().insert(http::HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

fn log(state: &State) -> Value {
    let requests = state.traffic.newest(MAX_LISTED, |number, entry| entry.summary(number));
    let callbacks = state.deliveries.newest(MAX_LISTED, |number, delivery| delivery_json(delivery, number));
    json!({
        "base_url": format!("{}/v1", state.origin(None)),
        "requests": requests,
        "callbacks": callbacks,
        "usage": usage(state),
    })
}

/// Returns the run slots in use, the calls of today, and the active faults.
fn usage(state: &State) -> Value {
    let active = state.active_runs.load(Ordering::SeqCst);
    let slots = active + state.run_slots.available_permits();
    json!({
        "active_runs": active,
        // Without a limit, the semaphore has its largest number of permits.
        "run_slots": (slots < Semaphore::MAX_PERMITS / 2).then_some(slots),
        "calls_today": state.calls_today(),
        "daily_cap": state.settings.daily_cap,
        "faults": state.faults.texts(),
    })
}

fn details(state: &State, number: &str) -> Response {
    let details = number.parse().ok().and_then(|number| state.traffic.get(number).map(|entry| entry.details(number)));
    details.map_or_else(
        || error_response(404, "", &format!("Request {number} is no longer stored.")),
        |details| json_response(200, &details),
    )
}

/// Returns a stream that sends the whole list after each change.
fn live(state: &Arc<State>) -> Response {
    let (sender, events) = tokio::sync::mpsc::channel::<Bytes>(16);
    let (mut requests, mut callbacks) = (state.traffic.subscribe(), state.deliveries.subscribe());
    let weak = Arc::downgrade(state);
    state.spawn(async move {
        loop {
            let changed = async {
                tokio::select! {
                    _ = requests.changed() => {}
                    _ = callbacks.changed() => {}
                    () = tokio::time::sleep(Duration::from_secs(10)) => {}
                }
            };
            tokio::select! { () = changed => {} () = sender.closed() => return }
            requests.borrow_and_update();
            callbacks.borrow_and_update();
            let Some(state) = weak.upgrade() else { return };
            let event = format!("data: {}\n\n", log(&state));
            drop(state);
            if sender.send(event.into()).await.is_err() {
                return;
            }
            // Changes in quick succession are sent as one event.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut response = http::Response::new(LiveBody { events }.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

struct LiveBody {
    events: tokio::sync::mpsc::Receiver<Bytes>,
}

impl http_body::Body for LiveBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.events.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Delivers a callback again, with the same body and signature.
async fn replay(state: &Arc<State>, number: &str) -> Response {
    let found = number.parse().ok().and_then(|number| state.deliveries.get(number));
    let Some(delivery) = found else {
        return error_response(404, "", &format!("Callback {number} is no longer stored."));
    };
    let outcome = delivery::replay(state, &delivery).await;
    json_response(200, &json!({"status": outcome.as_ref().ok(), "failure": outcome.as_ref().err()}))
}
