//! Trusted certificate authorities and client certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fetch_hive_client::blocking::{self, UreqTransport, UreqTransportBuilder};
use fetch_hive_client::{Client, Error, HyperTransport, HyperTransportBuilder, RetryPolicy};
use fetch_hive_emulator::Emulator;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

async fn call(base_url: &str, transport: HyperTransportBuilder) -> Result<(), Error> {
    let builder = Client::builder().api_key("fhk_test").base_url(base_url).retry(RetryPolicy::never());
    builder.transport(transport.no_proxy().build()?).build()?.invoke_workflow("d").await.map(drop)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap()
}

/// Returns a certificate and its key in one PEM text.
fn identity(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

fn store(authority: &CertifiedIssuer<'static, KeyPair>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    store
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns the TLS acceptor of a server with a certificate of `authority`.
fn acceptor(authority: &CertifiedIssuer<'static, KeyPair>, clients: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
    let own = identity(authority);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(own.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(own.as_bytes()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Returns the TLS acceptor of a server that requires a client certificate of `authority`.
async fn strict(authority: &CertifiedIssuer<'static, KeyPair>) -> SocketAddr {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store(authority)), provider()).build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(authority, verifier);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn client_certificate_is_sent_on_request() {
    let authority = authority();
    let address = strict(&authority).await;
    let url = format!("https://{address}/v1");
    let trusting =
        || HyperTransport::builder().only_added_root_certificates().add_root_certificates_pem(authority.pem());
    call(&url, trusting().client_certificate_pem(identity(&authority))).await.unwrap();
    assert!(call(&url, trusting()).await.is_err());
    // A certificate of another authority is rejected like a missing one.
    assert!(call(&url, trusting().client_certificate_pem(identity(&self::authority()))).await.is_err());
}

#[tokio::test]
async fn ureq_and_hyper_share_the_meaning_of_certificate_settings() {
    let authority = authority();
    let url = format!("https://{}/v1", strict(&authority).await);
    let (root, other_root, identity) = (authority.pem(), self::authority().pem(), identity(&authority));
    let calls = move || {
        let send = |builder: UreqTransportBuilder| {
            let builder = blocking::Client::builder().api_key("k").base_url(&url).transport(builder.build().unwrap());
            builder.build().unwrap().invoke_workflow("d").send()
        };
        let trusting =
            || UreqTransport::builder().only_added_root_certificates().add_root_certificates_pem(root.as_str());
        send(trusting().client_certificate_pem(identity.as_str())).unwrap();
        assert!(send(trusting()).is_err());
        let only_added = UreqTransport::builder().only_added_root_certificates();
        let only_added = only_added.add_root_certificates_pem(other_root.as_str());
        let error = send(only_added.client_certificate_pem(identity.as_str())).unwrap_err();
        assert_eq!(error.error_type(), "not_sent");
    };
    tokio::task::spawn_blocking(calls).await.unwrap();
}

#[tokio::test]
async fn custom_roots_and_configuration_replace_the_defaults() {
    let emulator = Emulator::builder().tls(true).start().await.unwrap();
    let (url, pem) = (emulator.base_url(), emulator.ca_pem().unwrap().to_owned());
    call(&url, HyperTransport::builder().only_added_root_certificates().add_root_certificates_pem(pem.as_str()))
        .await
        .unwrap();
    let other = HyperTransport::builder().only_added_root_certificates().add_root_certificates_pem(authority().pem());
    let error = call(&url, other).await.unwrap_err();
    assert_eq!(error.error_type(), "not_sent");

    let config = |store: RootCertStore| {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(store).with_no_client_auth()
    };
    let mut own = RootCertStore::empty();
    own.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    call(&url, HyperTransport::builder().rustls_0_23_config(config(own.clone()))).await.unwrap();
    assert_eq!(emulator.requests().last().unwrap().version, http::Version::HTTP_2);
    let error =
        call(&url, HyperTransport::builder().rustls_0_23_config(config(RootCertStore::empty()))).await.unwrap_err();
    assert_eq!(error.error_type(), "not_sent");
    // Conflicting settings are rejected when the client is built.
    let both = HyperTransport::builder().add_root_certificates_pem(pem).rustls_0_23_config(config(own)).build();
    assert_eq!(both.unwrap_err().error_type(), "invalid");
}

/// A server without ALPN, so that it speaks HTTP/1.1. It answers a fixed number of requests on each
/// connection and counts its connections.
async fn http1(authority: &CertifiedIssuer<'static, KeyPair>, requests: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(authority, WebPkiClientVerifier::no_client_auth());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                for _ in 0..requests {
                    let mut request = Vec::new();
                    while !request.ends_with(b"}") {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, accepted)
}

#[tokio::test]
async fn https_connections_are_reused_and_closed_ones_are_not() {
    let authority = authority();
    let client = |address: SocketAddr| {
        let transport =
            HyperTransport::builder().only_added_root_certificates().add_root_certificates_pem(authority.pem());
        let builder = Client::builder().api_key("fhk_test").base_url(format!("https://{address}/v1"));
        builder.retry(RetryPolicy::never()).transport(transport.no_proxy().build().unwrap()).build().unwrap()
    };
    let (address, accepted) = http1(&authority, usize::MAX).await;
    let kept = client(address);
    for _ in 0..20 {
        kept.invoke_workflow("d").await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    // Concurrent calls without a connection: one detects the protocol, and the others open a
    // connection or use a returned one.
    let cold = client(address);
    let calls: Vec<_> = (0..16).map(|_| tokio::spawn(cold.invoke_workflow("d").into_future())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(accepted.load(Ordering::SeqCst) <= 17);
    // Each response is the last one on its connection, without a header that says so.
    let (address, accepted) = http1(&authority, 1).await;
    let ended = client(address);
    for _ in 0..10 {
        ended.invoke_workflow("d").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 10);
}

#[test]
fn invalid_certificates_keys_and_proxies_are_rejected_and_not_shown() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    for builder in [
        HyperTransport::builder().add_root_certificates_pem("MARKER"),
        HyperTransport::builder().client_certificate_pem("MARKER"),
        HyperTransport::builder().client_certificate_pem(key.clone()),
        HyperTransport::builder().max_header_bytes(100),
        HyperTransport::builder().proxy("ftp://user:MARKER@proxy"),
        HyperTransport::builder().proxy("http://user:MARKER@"),
    ] {
        let error = builder.build().unwrap_err();
        let printed = format!("{error} {error:?}");
        assert!(error.error_type() == "invalid" && !printed.contains("MARKER") && !printed.contains(&key), "{printed}");
    }
}

#[cfg(feature = "two-providers")]
#[tokio::test]
async fn two_rustls_providers_in_one_graph_work() {
    // With two providers, rustls panics unless one is chosen explicitly.
    std::panic::catch_unwind(|| drop(ClientConfig::builder())).unwrap_err();
    let emulator = Emulator::builder().tls(true).start().await.unwrap();
    let pem = emulator.ca_pem().unwrap().to_owned();
    call(&emulator.base_url(), HyperTransport::builder().add_root_certificates_pem(pem.as_str())).await.unwrap();
    let error = call(&emulator.base_url(), HyperTransport::builder()).await.unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    let base_url = emulator.base_url();
    let blocking = move || {
        let transport = UreqTransport::builder().no_proxy().add_root_certificates_pem(pem).build().unwrap();
        let builder = fetch_hive_client::blocking::Client::builder().api_key("fhk_test").base_url(base_url);
        builder.transport(transport).build().unwrap().invoke_workflow("d").send().unwrap();
    };
    tokio::task::spawn_blocking(blocking).await.unwrap();
    assert_eq!(emulator.requests().len(), 2);
}
