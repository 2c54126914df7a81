//! Checks of requests and response heads.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::core::Api;
use fetch_hive_client::types::{ApiKey, AssetFile, UploadAsset};
use fetch_hive_client::{BaseUrl, buffer_request, open_asset_file};
use http::Request;

use crate::conformance::harness::{CheckResult, Harness, expect, get, pattern, server_error};
use crate::conformance::server::{After, Server};
use crate::conformance::wait::lock;

pub(super) async fn statuses(harness: &Harness) -> CheckResult {
    let server = Server::start(|request, connection| {
        let status = request.target.trim_start_matches('/');
        connection.respond(&format!("{status} Some Reason"), "content-type: application/json\r\n", status)
    })
    .map_err(server_error)?;
    for status in
        [200, 201, 202, 206, 299, 400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 499, 500, 501, 502, 503, 504]
    {
        let at = |error: String| format!("at {status}: {error}");
        let response = harness.respond(get(&server.url(&format!("/{status}")))?).await.map_err(at)?;
        expect("the status", &response.status().as_u16(), &status).map_err(at)?;
        let body = harness.read(response.into_body()).await.map_err(at)?;
        expect("the body", &body, &status.to_string().into_bytes()).map_err(at)?;
    }
    Ok(())
}

pub(super) async fn redirects(harness: &Harness) -> CheckResult {
    let server = Server::start(|request, connection| match request.target.as_str() {
        "/followed" => connection.respond("200 OK", "", "followed"),
        target => {
            let status = format!("{} Redirect", target.trim_start_matches('/'));
            connection.respond(&status, "location: /followed\r\n", "moved")
        }
    })
    .map_err(server_error)?;
    for status in [301, 302, 303, 307, 308] {
        let request = Request::post(server.url(&format!("/{status}"))).body(Bytes::from_static(b"{}"));
        let response = harness.respond(request.map_err(|error| error.to_string())?).await?;
        if server.requests().iter().any(|request| request.target == "/followed") {
            return Err(format!("the {status} was followed"));
        }
        expect("the status", &response.status().as_u16(), &status)?;
        let has_location = response.headers().get_all("location").iter().any(|location| location == "/followed");
        expect("whether the header location is present", &has_location, &true)?;
    }
    Ok(())
}

pub(super) async fn informational(harness: &Harness) -> CheckResult {
    let server = Server::start(|_, connection| {
        connection.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n")?;
        connection.respond("201 Created", "x-final: yes\r\n", "final")
    })
    .map_err(server_error)?;
    let response = harness.respond(get(&server.url("/"))?).await?;
    expect("the status", &response.status().as_u16(), &201)?;
    expect("whether the final headers are present", &response.headers().contains_key("x-final"), &true)?;
    expect("the body", &harness.read(response.into_body()).await?, &b"final".to_vec())
}

pub(super) async fn repeated_headers(harness: &Harness) -> CheckResult {
    let headers = "x-one: 1\r\nset-cookie: a=1\r\nX-One: 2\r\nset-cookie: b=2\r\nx-one: 3, 4\r\n";
    let server = Server::start(move |_, connection| connection.respond("200 OK", headers, "")).map_err(server_error)?;
    let response = harness.respond(get(&server.url("/"))?).await?;
    for (name, want) in [("x-one", vec!["1", "2", "3, 4"]), ("set-cookie", vec!["a=1", "b=2"])] {
        let values = response.headers().get_all(name).iter();
        let got: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        expect(&format!("{name} of the response"), &got, &want.into_iter().map(str::to_owned).collect())?;
    }
    Ok(())
}

pub(super) async fn request_head(harness: &Harness) -> CheckResult {
    let server = Server::start(|_, connection| connection.respond("200 OK", "", "")).map_err(server_error)?;
    let target = "/v1/a%2Fb/%C3%A9%20/..%2F?x=1&x=2&empty=&q=a%20b+c&r=%26";
    for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
        let body = if method == "GET" { "" } else { "{}" };
        let request = Request::builder()
            .method(method)
            .uri(server.url(target))
            .header("accept", "text/event-stream")
            .header("user-agent", "conformance/1 (x; y)")
            .header("authorization", "Bearer fhk_conformance")
            .header("content-type", "application/json")
            .header("x-one", "1")
            .header("x-one", "2, 3")
            .header("x-empty", "")
            .body(Bytes::from_static(body.as_bytes()))
            .map_err(|error| error.to_string())?;
        harness.respond(request).await.map_err(|error| format!("at {method}: {error}"))?;
        let Some(received) = server.requests().pop() else { return Err("no request arrived".to_owned()) };
        expect("the method", &received.method.as_str(), &method)?;
        expect("the path with the query", &received.target.as_str(), &target)?;
        for (name, want) in [
            ("accept", "text/event-stream"),
            ("user-agent", "conformance/1 (x; y)"),
            ("authorization", "Bearer fhk_conformance"),
            ("content-type", "application/json"),
            ("x-empty", ""),
            ("host", &server.address().to_string()),
        ] {
            expect(&format!("{name} of the request"), &received.header(name), &vec![want])?;
        }
        // One header with a list of values is equivalent to several headers.
        expect("x-one of the request", &received.header("x-one").join(", ").as_str(), &"1, 2, 3")?;
    }
    Ok(())
}

pub(super) async fn upload(harness: &Harness) -> CheckResult {
    let server = Server::start(|_, connection| connection.respond("200 OK", "", "received")).map_err(server_error)?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let large = pattern(3_000_001);
    for body in [Vec::new(), b"\r\n\r\n0\r\n\r\n".to_vec(), b"\xef\xbb\xbf{ } \n".to_vec(), every_byte, large] {
        let length = body.len();
        let request = Request::post(server.url("/")).header("content-type", "application/octet-stream");
        let request = request.body(Bytes::from(body.clone())).map_err(|error| error.to_string())?;
        let response = harness.respond(request).await?;
        expect("the body of the response", &harness.read(response.into_body()).await?, &b"received".to_vec())?;
        let Some(received) = server.requests().pop() else { return Err("no request arrived".to_owned()) };
        if received.body != body {
            return Err(format!("a body of {length} bytes arrived changed, with {} bytes", received.body.len()));
        }
    }
    upload_file(harness, &server).await
}

/// Uploads a file that is read while it is sent.
async fn upload_file(harness: &Harness, server: &Server) -> CheckResult {
    let file = TempFile::new(&pattern(3_000_001)).map_err(|error| error.to_string())?;
    let upload = UploadAsset::new("ws_1", file.asset().map_err(|error| error.to_string())?);
    let api = Api::new(BaseUrl::new(&server.url("")).map_err(|error| error.to_string())?);
    let key = ApiKey::new("fhk_conformance").map_err(|error| error.to_string())?;
    let request = api.request(&upload, Some(&key)).map_err(|error| error.to_string())?;
    let expected = buffer_request(request.clone()).map_err(|error| error.to_string())?.into_body();
    let response = harness.respond(request).await?;
    expect("the body of the response", &harness.read(response.into_body()).await?, &b"received".to_vec())?;
    let Some(received) = server.requests().pop() else { return Err("no request arrived".to_owned()) };
    let (length, sent) = (expected.len(), received.body.len());
    if received.body == expected {
        Ok(())
    } else {
        Err(format!("{sent} of {length} bytes of a file arrived unchanged"))
    }
}

/// A temporary file, which is deleted when it is dropped.
struct TempFile(PathBuf);

impl TempFile {
    fn new(content: &[u8]) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fetch-hive-conformance-{}-{number}", std::process::id()));
        std::fs::write(&path, content)?;
        Ok(Self(path))
    }

    fn asset(&self) -> Result<AssetFile, fetch_hive_client::Error> {
        open_asset_file(&self.0, "application/octet-stream")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) async fn early_response(harness: &Harness) -> CheckResult {
    let server = Server::responding_early(|_, connection| {
        connection.respond("413 Payload Too Large", "connection: close\r\n", "too large")?;
        // The response arrives before the connection is reset.
        std::thread::sleep(Duration::from_millis(100));
        Ok(After::Close)
    })
    .map_err(server_error)?;
    let request = Request::post(server.url("/")).body(Bytes::from(vec![b'x'; 20 << 20]));
    let response = harness.respond(request.map_err(|error| error.to_string())?).await?;
    expect("the status", &response.status().as_u16(), &413)?;
    expect("the body", &harness.read(response.into_body()).await?, &b"too large".to_vec())
}

pub(super) async fn cookies(harness: &Harness) -> CheckResult {
    let headers = "set-cookie: session=1; Path=/\r\n";
    let server = Server::start(move |_, connection| connection.respond("200 OK", headers, "")).map_err(server_error)?;
    for _ in 0..2 {
        let response = harness.respond(get(&server.url("/"))?).await?;
        harness.read(response.into_body()).await?;
    }
    let requests = server.requests();
    match requests.iter().find_map(|request| request.header("cookie").first().copied()) {
        None => Ok(()),
        Some(cookie) => Err(format!("the second request contained the cookie {cookie}")),
    }
}

pub(super) async fn concurrency(harness: &Harness) -> CheckResult {
    const REQUESTS: usize = 8;
    let arrived = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let timed_out = Arc::new(AtomicBool::new(false));
    let (counter, gave_up, step_timeout) = (Arc::clone(&arrived), Arc::clone(&timed_out), harness.step_timeout);
    let server = Server::start(move |request, connection| {
        *lock(&counter.0) += 1;
        counter.1.notify_all();
        // After one request has timed out, the check has failed and the others need not wait.
        let wait = if gave_up.load(Ordering::SeqCst) { Duration::ZERO } else { step_timeout };
        let waited = counter.1.wait_timeout_while(lock(&counter.0), wait, |arrived| *arrived < REQUESTS);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            gave_up.store(true, Ordering::SeqCst);
        }
        connection.respond("200 OK", "", &request.target)
    })
    .map_err(server_error)?;
    let mut futures: Vec<Pin<Box<dyn Future<Output = CheckResult> + Send + '_>>> = Vec::new();
    for number in 0..REQUESTS {
        let target = format!("/{number}");
        let request = get(&server.url(&target))?;
        futures.push(Box::pin(async move {
            let response = harness.respond(request).await?;
            expect("the body", &harness.read(response.into_body()).await?, &target.into_bytes())
        }));
    }
    let result = harness.run_concurrently(futures).await;
    if timed_out.load(Ordering::SeqCst) {
        return Err(format!("fewer than {REQUESTS} requests were sent concurrently"));
    }
    result
}
