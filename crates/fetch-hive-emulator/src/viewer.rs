//! The page, and what it asks for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::reply::{Broken, Reply, json_reply, raw, refusal};
use crate::service::Service;
use crate::{callback, exchange};

const PAGE: &str = include_str!("page.html");

/// How many requests, and how many tries to deliver a callback, are listed.
const SHOWN: usize = 500;

pub(crate) async fn answer(service: &Arc<Service>, method: &Method, parts: &[&str]) -> Reply {
    match (method, parts) {
        (&Method::GET, [""]) => page(),
        (&Method::GET, ["log"]) => json_reply(200, &log(service)),
        (&Method::GET, ["log", number]) => details(service, number),
        (&Method::GET, ["live"]) => live(service),
        (&Method::POST, ["callbacks", number, "replay"]) => replay(service, number).await,
        _ => refusal(404, "", "The page is at /_emulator/."),
    }
}

fn page() -> Reply {
    let mut reply = raw(StatusCode::OK, &[], Bytes::from_static(PAGE.as_bytes()));
    for (name, value) in [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:",
        ),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        reply.headers_mut().insert(http::HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    reply
}

fn log(service: &Service) -> Value {
    let requests = service.exchanges.newest(SHOWN, |number, exchange| exchange.summary(number));
    let callbacks = service.deliveries.newest(SHOWN, |number, delivery| exchange::delivery(delivery, number));
    json!({"base_url": format!("{}/v1", service.origin(None)), "requests": requests, "callbacks": callbacks})
}

fn details(service: &Service, number: &str) -> Reply {
    let found = number.parse().ok().and_then(|number| service.exchanges.get(number).map(|one| one.details(number)));
    found.map_or_else(|| refusal(404, "", "That request is no longer kept."), |details| json_reply(200, &details))
}

/// A stream of what changes, as the page's list has it.
fn live(service: &Arc<Service>) -> Reply {
    let (tell, told) = tokio::sync::mpsc::channel::<Bytes>(16);
    let (requests, callbacks) = (service.exchanges.watch(), service.deliveries.watch());
    let weak = Arc::downgrade(service);
    service.spawn(async move {
        let (mut requests, mut callbacks) = (requests, callbacks);
        loop {
            let changed = async {
                tokio::select! {
                    _ = requests.changed() => {}
                    _ = callbacks.changed() => {}
                    () = tokio::time::sleep(Duration::from_secs(10)) => {}
                }
            };
            // Whoever closes the page need not wait for something to happen.
            tokio::select! { () = changed => {} () = tell.closed() => return }
            requests.borrow_and_update();
            callbacks.borrow_and_update();
            let Some(service) = weak.upgrade() else { return };
            let event = format!("data: {}\n\n", log(&service));
            drop(service);
            if tell.send(event.into()).await.is_err() {
                return;
            }
            // A burst becomes one event.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let body = Live { told };
    let mut reply = http::Response::new(body.boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply
}

struct Live {
    told: tokio::sync::mpsc::Receiver<Bytes>,
}

impl http_body::Body for Live {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.told.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Delivers a callback again, as it was.
async fn replay(service: &Arc<Service>, number: &str) -> Reply {
    let found = number.parse().ok().and_then(|number| service.deliveries.get(number));
    let Some(delivery) = found else { return refusal(404, "", "That callback is no longer kept.") };
    let again = callback::again(service, &delivery).await;
    json_reply(200, &json!({"status": again.as_ref().ok(), "failure": again.as_ref().err()}))
}
