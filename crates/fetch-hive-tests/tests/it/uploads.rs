//! Tests of uploads, whose files are read while they are sent.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch_hive_client::types::AssetFile;
use fetch_hive_client::{Client, ErrorKind, HyperTransport, RetryPolicy, Timeout, open_asset_file};
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::{Scripted, Step};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A temporary file, which is deleted when the test ends.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("fetch-hive-upload-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn asset(&self) -> AssetFile {
        open_asset_file(&self.0, "application/octet-stream").unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn client(base_url: &str) -> Client {
    Client::builder().api_key("fhk_test").base_url(base_url).build().unwrap()
}

/// Returns the content of the file in a multipart form.
fn file_of(body: &[u8]) -> &[u8] {
    let start = body.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let boundary = body.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
    &body[start..body.len() - boundary - 6]
}

#[tokio::test]
async fn file_arrives_unchanged_with_progress() {
    let content = pattern(3_000_001);
    let file = TempFile::new("unchanged", &content);
    for tls in [false, true] {
        let emulator = Emulator::builder().tls(tls).start().await.unwrap();
        let mut transport = HyperTransport::builder();
        if let Some(pem) = emulator.ca_pem() {
            transport = transport.add_root_certificates_pem(pem);
        }
        let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
        let client = builder.transport(transport.build().unwrap()).build().unwrap();
        let assets = client.workspace("ws_1").assets();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&seen);
        let call = assets.upload(file.asset());
        call.on_upload_progress(move |sent, total| hook.lock().unwrap().push((sent, total))).await.unwrap();
        let request = emulator.requests().pop().unwrap();
        assert!(file_of(&request.body) == content, "tls: {tls}");
        let length = request.body.len() as u64;
        let seen = seen.lock().unwrap().clone();
        assert!(seen.is_sorted() && seen.iter().all(|(_, total)| *total == length), "{seen:?}");
        assert!(seen.len() > 5 && seen.last() == Some(&(length, length)), "{seen:?}");
        if !tls {
            assert_eq!(request.headers["content-length"], length.to_string());
        }
        // The progress of a body in memory is reported, too.
        let last = Arc::new(Mutex::new(None));
        let hook = Arc::clone(&last);
        let call = client.invoke_workflow("d").on_upload_progress(move |sent, total| {
            *hook.lock().unwrap() = Some((sent, total));
        });
        call.await.unwrap();
        let length = emulator.requests().pop().unwrap().body.len() as u64;
        assert_eq!(*last.lock().unwrap(), Some((length, length)));
    }
}

#[tokio::test]
async fn file_that_changes_while_it_is_sent_is_an_error() {
    for tls in [false, true] {
        for change in ["shrink", "grow", "rewrite"] {
            let file = TempFile::new(&format!("{change}-{tls}"), &pattern(20_000_000));
            let emulator = Emulator::builder().tls(tls).start().await.unwrap();
            let mut transport = HyperTransport::builder();
            if let Some(pem) = emulator.ca_pem() {
                transport = transport.add_root_certificates_pem(pem);
            }
            let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
            let client = builder.transport(transport.build().unwrap()).build().unwrap();
            let path = file.0.clone();
            let changed = Mutex::new(false);
            let call = client.workspace("ws_1").assets().upload(file.asset()).on_upload_progress(move |sent, _| {
                if sent < 1_000_000 || std::mem::replace(&mut *changed.lock().unwrap(), true) {
                    return;
                }
                let mut options = std::fs::File::options();
                match change {
                    "shrink" => options.write(true).open(&path).unwrap().set_len(5_000_000).unwrap(),
                    "grow" => options.append(true).open(&path).unwrap().write_all(b"more").unwrap(),
                    _ => std::fs::write(&path, pattern(20_000_000)).unwrap(),
                }
            });
            let error = call.await.unwrap_err();
            assert!(error.to_string().contains("changed after it was added to the request"), "{change}: {error}");
            assert!(!error.may_have_run(), "an upload starts no run");
            assert_eq!(emulator.requests().len(), 0, "the server received no complete body");
        }
    }
}

#[tokio::test]
async fn retry_after_a_refused_connection_sends_the_whole_file() {
    let content = pattern(300_000);
    let file = TempFile::new("retry", &content);
    let address: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let uploading = tokio::spawn({
        let (base_url, file) = (format!("http://{address}/v1"), file.asset());
        // A busy machine may start the server late.
        let mut policy = RetryPolicy::default();
        (policy.max_attempts, policy.max_delay) = (100, Duration::from_millis(500));
        let client = Client::builder().api_key("fhk_test").base_url(&base_url).retry(policy).build().unwrap();
        async move { client.workspace("ws_1").assets().upload(file).await }
    });
    // The first attempts are refused.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let emulator = Emulator::builder().listen(address).start().await.unwrap();
    let response = uploading.await.unwrap().unwrap();
    assert!(response.parts().attempts > 1);
    let requests = emulator.requests();
    assert!(requests.len() == 1 && file_of(&requests[0].body) == content);
}

#[tokio::test]
async fn unusable_file_is_reported_before_anything_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator.base_url());
    let invalid = |error: fetch_hive_client::Error| {
        let ErrorKind::Invalid(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field, "file");
        error.to_string()
    };
    let folder = open_asset_file(std::env::temp_dir(), "image/png").unwrap_err();
    assert!(invalid(folder).contains("is not a regular file"));
    let file = TempFile::new("deleted", b"content");
    let asset = file.asset();
    std::fs::remove_file(&file.0).unwrap();
    let deleted = client.workspace("ws_1").assets().upload(asset.clone()).await.unwrap_err();
    assert!(invalid(deleted).contains("cannot be read"));
    std::fs::write(&file.0, b"other content").unwrap();
    let changed = client.workspace("ws_1").assets().upload(asset).await.unwrap_err();
    assert!(invalid(changed).contains("changed"));
    assert_eq!(emulator.requests().len(), 0);
}

#[tokio::test]
async fn early_response_and_timeout_end_an_upload() {
    let file = TempFile::new("early", &pattern(20_000_000));
    let early = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = early.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut connection, _) = early.accept().await.unwrap();
        connection.read_exact(&mut [0; 1_000]).await.unwrap();
        let response = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large";
        connection.write_all(response.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let uploading = |base_url: String| {
        let asset = file.asset();
        async move { client(&base_url).workspace("ws_1").assets().upload(asset).timeout(Duration::from_secs(3)).await }
    };
    let error = uploading(format!("http://{address}/v1")).await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), &error.body().unwrap()[..]), (413, &b"too large"[..]));

    let stuck = Scripted::start(vec![vec![Step::Until(Arc::default())]]).await.unwrap();
    let error = uploading(stuck.base_url()).await.unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Deadline));

    let rejecting = Emulator::builder().fault(Fault::status(413)).start().await.unwrap();
    assert_eq!(uploading(rejecting.base_url()).await.unwrap_err().status().unwrap().as_u16(), 413);
}

#[test]
fn blocking_client_sends_a_file_while_it_is_read() {
    let content = pattern(3_000_001);
    let file = TempFile::new("blocking", &content);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let emulator = runtime.block_on(Emulator::start()).unwrap();
    let builder = fetch_hive_client::blocking::Client::builder().api_key("fhk_test").base_url(emulator.base_url());
    let client = builder.build().unwrap();
    client.workspace("ws_1").assets().upload(file.asset()).send().unwrap();
    let request = emulator.requests().pop().unwrap();
    assert!(file_of(&request.body) == content);
    assert_eq!(request.headers["content-length"], request.body.len().to_string());
    assert!(!request.headers.contains_key("transfer-encoding"));

    let path = file.0.clone();
    let call = client.workspace("ws_1").assets().upload(file.asset()).on_upload_progress(move |sent, _| {
        if sent > 1_000_000 {
            std::fs::File::options().write(true).open(&path).unwrap().set_len(2_000_000).unwrap();
        }
    });
    let error = call.send().unwrap_err();
    assert!(error.to_string().contains("changed after it was added"), "{error}");
    assert_eq!(emulator.requests().len(), 1, "the server received no complete body");
}
