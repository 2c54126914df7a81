//! Delivery of signed callbacks (contract, section 4).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::signature::{SIGNATURE_HEADER, sign};
use fetch_hive_core::types::WebhookSecret;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::call::Call;
use crate::callback_fault::Wrong;
use crate::faults::Cause;
use crate::record::Delivery;
use crate::reply::{Reply, json_reply};
use crate::service::Service;

/// An event on its way.
pub(crate) struct Callback {
    pub(crate) request_id: String,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) body: Bytes,
    /// What started its run.
    pub(crate) cause: Cause,
}

pub(crate) type Sender = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(crate) fn sender() -> Result<Sender, rustls::Error> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// A receiver that does not answer is given up after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that an event waits for another to overtake it.
const OVERTAKING: Duration = Duration::from_secs(5);

/// The reply to a run that was accepted. Where a fault says so, it comes after the callback of the run was tried.
pub(crate) async fn accepted(call: &Call<'_>, told: &Value) -> Reply {
    let service = call.service;
    if call.cause.is_early(&service.faults) {
        let tried = async {
            loop {
                let next = service.tried.notified();
                if service.deliveries.any(|delivery| told["request_id"] == *delivery.request_id) {
                    return;
                }
                next.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, tried).await;
    }
    json_reply(202, told)
}

/// Posts an event until a receiver takes it, after growing waits.
pub(crate) async fn deliver(service: &Arc<Service>, callback: Callback) {
    let Callback { request_id, url, secret, body, cause } = callback;
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let plan = cause.callback_faults(&service.faults, event["event_type"].as_str().unwrap_or_default());
    if plan.does(Wrong::Lost, 1) {
        return service.log(|| format!("callback of {request_id} to {}: lost, by a fault", crate::look::masked(&url)));
    }
    tokio::time::sleep(plan.late()).await;
    if plan.does(Wrong::Reorder, 1) {
        let _ = tokio::time::timeout(OVERTAKING, service.tried.notified()).await;
    }
    let (mut taken, mut failed) = (0, 0);
    for attempt in 1.. {
        let signature = match () {
            () if plan.does(Wrong::Unsigned, attempt) => String::new(),
            () if plan.does(Wrong::Missign, attempt) => sign(&WebhookSecret::new(format!("not {secret}")), &body),
            () => sign(&WebhookSecret::new(secret.as_str()), &body),
        };
        let body = if plan.does(Wrong::Corrupt, attempt) { one_bit_changed(&body) } else { body.clone() };
        let refused = refuse_address(service, &url).await;
        let private = refused.is_err();
        let outcome = match refused {
            Err(refused) => Err(refused),
            Ok(()) => match tokio::time::timeout(PATIENCE, post(service, &url, &signature, &body)).await {
                Ok(outcome) => outcome,
                Err(_) => Err("the receiver did not answer in time".to_owned()),
            },
        };
        service.log(|| {
            let told = outcome.as_ref().map_or_else(Clone::clone, ToString::to_string);
            format!("callback of {request_id} to {}, try {attempt}: {told}", crate::look::masked(&url))
        });
        if matches!(outcome, Ok(200..=299)) {
            taken += 1;
        } else {
            failed += 1;
        }
        let over = private || taken > plan.repeats() || failed == service.delivery_attempts;
        let was_taken = taken > 0 && failed == 0;
        service.deliveries.push(Delivery {
            request_id: request_id.clone(),
            url: url.clone(),
            attempt,
            outcome,
            body: body.clone(),
            signature,
        });
        service.tried.notify_waiters();
        if over {
            return;
        }
        // A repeat comes at once, for that is when it can do harm.
        if !was_taken {
            tokio::time::sleep(service.delivery_backoff * failed).await;
        }
    }
}

/// Posts once more what was posted before, as it was.
#[cfg(feature = "page")]
pub(crate) async fn again(service: &Arc<Service>, before: &Delivery) -> Result<u16, String> {
    let posted = async {
        refuse_address(service, &before.url).await?;
        post(service, &before.url, &before.signature, &before.body).await
    };
    let late = |_| Err("the receiver did not answer in time".to_owned());
    let outcome = tokio::time::timeout(PATIENCE, posted).await.unwrap_or_else(late);
    service.deliveries.push(Delivery { attempt: before.attempt + 1, outcome: outcome.clone(), ..before.clone() });
    outcome
}

fn one_bit_changed(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

async fn post(service: &Service, url: &str, signature: &str, body: &Bytes) -> Result<u16, String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("no URL: {error}"))?;
    let mut request = http::Request::post(uri)
        .header("content-type", "application/json")
        .header("user-agent", concat!("fetch-hive-emulator/", env!("CARGO_PKG_VERSION")));
    if !signature.is_empty() {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    let request = request.body(Full::new(body.clone())).map_err(|error| error.to_string())?;
    match service.sender.request(request).await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(error.to_string()),
    }
}

/// Refuses an address that this emulator is not to deliver to.
async fn refuse_address(service: &Service, url: &str) -> Result<(), String> {
    if service.loopback_callbacks {
        // Without asking for the address of a name: that would leave the machine too.
        let uri = url.parse::<http::Uri>().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if host != "localhost" && !ip.is_ok_and(|ip| ip.to_canonical().is_loopback()) {
            return Err(format!("{host} is not loopback, where alone callbacks are delivered"));
        }
    }
    if service.private_callbacks { Ok(()) } else { refuse_private(url).await }
}

/// Loopback is where developers are; other private addresses are not for an emulator to knock at. A name that does not resolve is left to
/// the attempt itself.
async fn refuse_private(url: &str) -> Result<(), String> {
    let Ok(uri) = url.parse::<http::Uri>() else { return Ok(()) };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let Ok(addresses) = tokio::net::lookup_host((host, port)).await else { return Ok(()) };
    for address in addresses {
        // An IPv4 address may be written as an IPv6 one.
        let ip = address.ip().to_canonical();
        if !ip.is_loopback() && is_private(ip) {
            return Err(format!("{address} is a private address; allow them to deliver there"));
        }
    }
    Ok(())
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || shared
        }
        IpAddr::V6(ip) => {
            ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_known_in_every_form() {
        for host in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
        ] {
            assert!(refuse_private(&format!("http://{host}/cb")).await.is_err(), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "93.184.215.14", "localhost"] {
            assert!(refuse_private(&format!("http://{host}/cb")).await.is_ok(), "{host}");
        }
    }
}
