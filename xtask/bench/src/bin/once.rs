//! One workflow call with hyper over HTTP/2 and TLS, like `fetch-hive workflow run`.
//!
//! Usage: `once URL CERTIFICATE`. It prints the output of the run.

use std::sync::Arc;

use fetch_hive_bench::{KEY, Request, Run, argument};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (url, certificate): (String, String) = (argument(1, "URL"), argument(2, "CERTIFICATE"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];

    let uri: http::Uri = format!("{url}/v1/workflow/invoke").parse()?;
    let (host, port) = (uri.host().ok_or("no host")?.to_owned(), uri.port_u16().unwrap_or(443));
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host)?, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::post(uri)
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {KEY}"))
        .body(Full::<bytes::Bytes>::from(serde_json::to_vec(&Request::new())?))?;
    let response = sender.send_request(request).await?;
    assert!(response.status().is_success(), "{}", response.status());
    let run: Run = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
    println!("{}", run.output.as_str().unwrap_or_default());
    Ok(())
}
