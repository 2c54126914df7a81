use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::invalid;
use crate::Error;

/// Whom to trust, and what to show.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) extra: Vec<Vec<u8>>,
    pub(super) only_extra: bool,
    /// The certificates and the key of the client, in PEM.
    pub(super) identity: Option<Vec<u8>>,
    /// A configuration of the caller's own.
    pub(super) own: Option<ClientConfig>,
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
    pub(super) fn new(mut choice: Choice) -> Result<Self, Error> {
        let plain = match choice.own.take() {
            Some(_) if choice.only_extra || choice.identity.is_some() || !choice.extra.is_empty() => {
                return Err(invalid("tls", "has a configuration of its own: put roots and certificates into that"));
            }
            Some(own) => own,
            None => config(&choice)?,
        };
        let offering = |protocols: &[&[u8]]| {
            let mut config = plain.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { both: offering(&[b"h2", b"http/1.1"]), http1: offering(&[b"http/1.1"]), proxy: offering(&[]) })
    }
}

fn config(choice: &Choice) -> Result<ClientConfig, Error> {
    // The provider is always named: an implicit one panics where two are in the graph.
    let builder = ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("tls", error))?
        .with_root_certificates(store(choice)?);
    let Some(pem) = &choice.identity else { return Ok(builder.with_no_client_auth()) };
    let wrong = |error: &dyn std::fmt::Display| invalid("client_certificate", error);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong(&"holds no private key in PEM"))?;
    builder.with_client_auth_cert(chain.map_err(|error| wrong(&error))?, key).map_err(|error| wrong(&error))
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

fn store(choice: &Choice) -> Result<RootCertStore, Error> {
    let mut store = if choice.only_extra { RootCertStore::empty() } else { usual().clone() };
    for pem in &choice.extra {
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
        let platform = rustls_native_certs::load_native_certs().certs;
        platform_or_bundled(platform)
    })
}

fn platform_or_bundled(platform: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(platform);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_usable_root_of_the_platform_the_bundled_ones_are_taken() {
        let bundled = webpki_roots::TLS_SERVER_ROOTS.len();
        assert!(bundled > 100);
        for platform in [Vec::new(), vec![CertificateDer::from_slice(b"no certificate").into_owned()]] {
            assert_eq!(platform_or_bundled(platform).len(), bundled);
        }
    }
}
