use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{Clock, RequestBody, ResponseBody, Transport, TransportError};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use js_sys::{Array, Error, Function, Promise, Reflect, Uint8Array, global};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Headers, ReadableStreamDefaultReader};
use web_sys::{RequestCache, RequestCredentials, RequestInit, RequestRedirect};

#[wasm_bindgen]
extern "C" {
    fn fetch(request: &web_sys::Request) -> Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A transport over the platform's `fetch`.
///
/// It has no connect timeout. In a browser, an error is reported as one that may have run, unless
/// the browser is offline or rejects the request itself, because `fetch` hides whether it was sent.
/// The page about platforms in the guide lists what else a browser changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchTransport;

#[async_trait]
impl Transport for FetchTransport {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        // A value of JavaScript belongs to one thread. The wrapper panics on any other.
        SendWrapper::new(send(request)).await
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
    // Only browsers have this property. They reach a loopback address without a network.
    let is_offline = get(&get(&global(), "navigator"), "onLine") == JsValue::FALSE;
    if is_offline && !matches!(request.uri().host(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        return Err(TransportError::not_sent("the browser is offline"));
    }
    let not_sent = |error| TransportError::not_sent(describe(&error));
    let controller = AbortController::new().map_err(not_sent)?;
    let request = convert(&request, &controller.signal()).map_err(not_sent)?;
    let abort = OnDrop(Box::new(move || controller.abort()));
    let response = JsFuture::from(fetch(&request)).await.map_err(|error| fetch_error(&error))?;
    let response: web_sys::Response = response.unchecked_into();
    // A browser hides the status of a redirect.
    if response.status() == 0 {
        return Err(TransportError::may_have_run("a server answered with a redirect"));
    }
    let body = response.body().map_or_else(
        || ResponseBody::whole(""),
        |stream| {
            let stream = stream.get_reader().unchecked_into();
            ResponseBody::streaming(FetchBody(SendWrapper::new(Reader { stream, read: None, _abort: abort })))
        },
    );
    let mut converted = Response::new(body);
    *converted.status_mut() = response.status().try_into().map_err(TransportError::may_have_run)?;
    *converted.headers_mut() = response_headers(&response.headers());
    Ok(converted)
}

fn convert(request: &Request<Bytes>, signal: &AbortSignal) -> Result<web_sys::Request, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in request.headers() {
        // JavaScript has one character per byte of a header.
        let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        headers.append(name.as_str(), &value)?;
    }
    let init = RequestInit::new();
    init.set_method(request.method().as_str());
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(signal));
    // Edge workers have neither cookies nor this cache, and may reject the options.
    if Reflect::has(&get(&get(&global(), "Request"), "prototype"), &"credentials".into())? {
        init.set_credentials(RequestCredentials::Omit);
        init.set_cache(RequestCache::NoStore);
    }
    if !request.body().is_empty() {
        init.set_body(&Uint8Array::from(&request.body()[..]));
    }
    web_sys::Request::new_with_str_and_init(&request.uri().to_string(), &init)
}

fn response_headers(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for entry in headers.entries().into_iter().flatten() {
        let text = |index| Array::from(&entry).get(index).as_string().unwrap_or_default();
        let value: Vec<u8> = text(1).chars().filter_map(|character| u8::try_from(character).ok()).collect();
        if let (Ok(name), Ok(value)) = (text(0).parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
            map.append(name, value);
        }
    }
    // The platform has decoded the body.
    if map.remove(CONTENT_ENCODING).is_some() {
        map.remove(CONTENT_LENGTH);
    }
    map
}

/// Converts an error of `fetch`. Only Node.js states the cause.
fn fetch_error(error: &JsValue) -> TransportError {
    let cause = get(error, "cause");
    let text = |key| get(&cause, key).as_string().unwrap_or_default();
    let (syscall, code) = (text("syscall"), text("code"));
    // If no address of a host accepts a connection, the cause contains the error of each.
    let not_connected = matches!(&*syscall, "connect" | "getaddrinfo") || Array::is_array(&get(&cause, "errors"));
    // An alert comes from the server, maybe after the request.
    let untrusted = (code.contains("CERT") && !code.contains("ALERT")) || code.starts_with("UNABLE_TO_");
    let not_sent = not_connected || untrusted || code == "UND_ERR_CONNECT_TIMEOUT";
    if not_sent { TransportError::not_sent(describe(error)) } else { TransportError::may_have_run(describe(error)) }
}

/// Returns the text of an error with its causes.
fn describe(error: &JsValue) -> String {
    let text = error.dyn_ref::<Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.to_string()));
    let cause = get(error, "cause");
    if cause.is_object() { format!("{text}: {}", describe(&cause)) } else { text }
}

/// Returns a property, or `undefined` if there is none.
fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or_default()
}

/// Calls a function when it is dropped.
struct OnDrop(Box<dyn Fn()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

struct FetchBody(SendWrapper<Reader>);

struct Reader {
    stream: ReadableStreamDefaultReader,
    read: Option<JsFuture>,
    /// Ends the request, unless the response has ended.
    _abort: OnDrop,
}

impl Body for FetchBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let Reader { stream, read, .. } = &mut *self.0;
        let result = ready!(Pin::new(read.get_or_insert_with(|| JsFuture::from(stream.read()))).poll(cx));
        *read = None;
        let result = result.map_err(|error| TransportError::may_have_run(describe(&error)))?;
        let chunk = get(&result, "value").dyn_into::<Uint8Array>();
        Poll::Ready(chunk.ok().map(|chunk| Ok(Frame::data(chunk.to_vec().into()))))
    }
}

/// A clock with the timers of the platform. A browser delays them in a tab that is not visible.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchClock;

impl Clock for FetchClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(SendWrapper::new(sleep(duration)))
    }
}

async fn sleep(duration: Duration) {
    let mut left = duration.as_nanos().div_ceil(1_000_000);
    while left > 0 {
        // A timer with a larger number expires at once.
        let milliseconds = i32::try_from(left).unwrap_or(i32::MAX);
        let mut timer = None;
        let promise = Promise::new(&mut |resolve, _| {
            let id = set_timeout(&resolve, milliseconds);
            timer = Some(OnDrop(Box::new(move || {
                clear_timeout(&id);
                // The promise frees its callbacks when it is resolved.
                let _ = resolve.call0(&JsValue::UNDEFINED);
            })));
        });
        let _ = JsFuture::from(promise).await;
        drop(timer);
        left = left.saturating_sub(u128::from(milliseconds.unsigned_abs()));
    }
}
