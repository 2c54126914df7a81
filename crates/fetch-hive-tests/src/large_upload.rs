//! Uploads a file of 2 GB over HTTP/1.1 and over HTTP/2, and checks the memory of the client.
//!
//! `large-upload MEGABYTES` fails if the server receives another content, or if the client needs
//! more than 64 MiB. The server is a separate process (`large-upload --serve`), which prints a
//! digest of each file that it received.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use fetch_hive_client::{Client, HyperTransport, open_asset_file};
use fetch_hive_tests::process::{BoxError, memory_kib, run_program};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const MAX_RESIDENT_KIB: u64 = 64 << 10;

fn main() -> ExitCode {
    run_program("large-upload", 2_048, serve, upload)
}

/// A digest (FNV-1a) that does not depend on how the bytes are split.
fn update(digest: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *digest = (*digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

const EMPTY_DIGEST: u64 = 0xcbf2_9ce4_8422_2325;

async fn serve() -> Result<(), BoxError> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der())?)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (plain, tls) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let pem = certificate.pem().replace('\n', "|");
    println!("{} {} {pem}", plain.local_addr()?.port(), tls.local_addr()?.port());
    std::io::stdout().flush()?;
    loop {
        tokio::select! {
            accepted = plain.accept() => {
                let io = TokioIo::new(accepted?.0);
                tokio::spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service_fn(receive)).await;
                });
            }
            accepted = tls.accept() => {
                let (acceptor, stream) = (acceptor.clone(), accepted?.0);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let io = TokioIo::new(stream);
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service_fn(receive)).await;
                });
            }
        }
    }
}

/// Reads a multipart form with one file, and prints the digest of the file.
async fn receive(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tail = content_type.rsplit_once("boundary=").map_or(0, |(_, boundary)| boundary.len()) + "\r\n----\r\n".len();
    let (mut digest, mut length, mut pending, mut in_file) = (EMPTY_DIGEST, 0, Vec::new(), false);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Ok(Response::new(String::new())) };
        let Ok(data) = frame.into_data() else { continue };
        pending.extend_from_slice(&data);
        if !in_file {
            let Some(end) = pending.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            pending.drain(..end + 4);
            in_file = true;
        }
        // The last bytes may belong to the end of the form.
        let of_file = pending.len().saturating_sub(tail);
        update(&mut digest, &pending[..of_file]);
        length += of_file;
        pending.drain(..of_file);
    }
    println!("{:?} {length} {digest:x}", parts.version);
    let _ = std::io::stdout().flush();
    let mut response = Response::new(r#"{"asset":{"id":"as_1"}}"#.to_owned());
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn upload(megabytes: u64) -> Result<(), BoxError> {
    let path = std::env::temp_dir().join(format!("fetch-hive-large-{}", std::process::id()));
    let result = upload_file(&path, megabytes).await;
    std::fs::remove_file(&path)?;
    result
}

async fn upload_file(path: &Path, megabytes: u64) -> Result<(), BoxError> {
    let (length, digest) = (megabytes << 20, write_file(path, megabytes)?);
    let mut service = Command::new(std::env::current_exe()?).arg("--serve").stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(service.stdout.take().ok_or("the server has no standard output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let [plain, tls, pem] = line.trim().splitn(3, ' ').collect::<Vec<_>>()[..] else {
        return Err("the server did not start".into());
    };
    let urls = [format!("http://127.0.0.1:{plain}/v1"), format!("https://localhost:{tls}/v1")];
    for (url, version) in urls.into_iter().zip(["HTTP/1.1", "HTTP/2.0"]) {
        let transport = HyperTransport::builder().add_root_certificates_pem(pem.replace('|', "\n")).build()?;
        let client = Client::builder().api_key("fhk_test").base_url(url).transport(transport).build()?;
        let file = open_asset_file(path, "application/octet-stream")?.max_bytes(u64::MAX);
        client.workspace("ws_1").assets().upload(file).timeout(None).await?;
        let mut received = String::new();
        output.read_line(&mut received)?;
        let resident = memory_kib("VmHWM")?;
        println!("{version}: {length} bytes, resident memory of the client at most {resident} KiB");
        if received.trim() != format!("{version} {length} {digest:x}") {
            return Err(format!("the server received something else: {received}").into());
        }
        if resident > MAX_RESIDENT_KIB {
            return Err(format!("the client needs {resident} KiB, more than {MAX_RESIDENT_KIB} KiB").into());
        }
    }
    service.kill()?;
    service.wait()?;
    Ok(())
}

/// Writes a file of pseudo-random bytes, and returns its digest.
fn write_file(path: &Path, megabytes: u64) -> Result<u64, BoxError> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let (mut state, mut digest) = (0x9e37_79b9_7f4a_7c15_u64, EMPTY_DIGEST);
    let mut block = vec![0; 1 << 20];
    for _ in 0..megabytes {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        update(&mut digest, &block);
        file.write_all(&block)?;
    }
    file.flush()?;
    Ok(digest)
}
