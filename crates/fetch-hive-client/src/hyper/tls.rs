use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::invalid;
use crate::Error;

/// Whom to trust.
#[derive(Default)]
pub(super) struct Roots {
    pub(super) extra: Vec<Vec<u8>>,
    pub(super) only_extra: bool,
}

/// The same trust with each offer of protocols.
pub(super) struct Configs {
    /// HTTP/2 and HTTP/1.1: for the first connection to a host.
    pub(super) both: Arc<ClientConfig>,
    /// HTTP/1.1 only: for hosts that chose it.
    pub(super) http1: Arc<ClientConfig>,
    /// No offer: for the connection to a proxy.
    pub(super) proxy: Arc<ClientConfig>,
}

impl Configs {
    pub(super) fn new(roots: &Roots) -> Result<Self, Error> {
        // The provider is always named: an implicit one panics where two are in the graph.
        let plain = ClientConfig::builder_with_provider(provider()?)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("tls", error))?
            .with_root_certificates(store(roots)?)
            .with_no_client_auth();
        let offering = |protocols: &[&[u8]]| {
            let mut config = plain.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { both: offering(&[b"h2", b"http/1.1"]), http1: offering(&[b"http/1.1"]), proxy: offering(&[]) })
    }
}

#[cfg(feature = "aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "fails when the features are off")]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
#[allow(clippy::unnecessary_wraps, reason = "fails when the features are off")]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Ok(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Err(invalid("tls", "has no cryptography: turn on the feature `ring` or `aws-lc-rs`"))
}

fn store(roots: &Roots) -> Result<RootCertStore, Error> {
    let mut store = if roots.only_extra { RootCertStore::empty() } else { usual().clone() };
    for pem in &roots.extra {
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| invalid("root_certificate", error))?;
            store.add(certificate).map_err(|error| invalid("root_certificate", error))?;
            found = true;
        }
        if !found {
            return Err(invalid("root_certificate", "holds no certificate in PEM"));
        }
    }
    Ok(store)
}

/// The platform's roots, or the bundled ones where it has none, as in an image from scratch. Read once per process: there are many.
fn usual() -> &'static RootCertStore {
    static USUAL: OnceLock<RootCertStore> = OnceLock::new();
    USUAL.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        store
    })
}
