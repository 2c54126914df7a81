//! TLS settings, for every included transport.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fetch_hive_core::InvalidInput;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use crate::error::find;

/// The certificates that a transport trusts and presents.
#[derive(Default)]
pub(super) struct TlsSettings {
    /// Root certificates in PEM, in addition to the default ones.
    pub(super) added_roots: Vec<Vec<u8>>,
    pub(super) only_added_roots: bool,
    /// The client certificate chain and its private key in PEM.
    pub(super) client_certificate: Option<Vec<u8>>,
    /// A complete configuration, which excludes all other settings.
    pub(super) rustls_config: Option<ClientConfig>,
}

impl TlsSettings {
    /// Builds the configuration, without ALPN protocols.
    pub(super) fn build(mut self) -> Result<ClientConfig, InvalidInput> {
        match self.rustls_config.take() {
            Some(_) if self.only_added_roots || self.client_certificate.is_some() || !self.added_roots.is_empty() => {
                let reason = "has a complete rustls configuration: set root and client certificates there instead";
                Err(InvalidInput::new("tls", reason))
            }
            Some(config) => Ok(config),
            None => self.build_config(),
        }
    }

    fn build_config(&self) -> Result<ClientConfig, InvalidInput> {
        // The provider is always explicit: rustls panics on an implicit one when two are compiled
        // in.
        let provider = provider()?;
        let default_roots =
            if self.only_added_roots { Some(RootCertStore::empty().into()) } else { environment_store()? };
        let verifier = LazyVerifier {
            provider: Arc::clone(&provider),
            added_roots: self.added_roots()?,
            default_roots,
            verifier: OnceLock::new(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("tls", error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some(pem) = self.client_certificate.as_deref().map(without_byte_order_mark) else {
            return Ok(builder.with_no_client_auth());
        };
        let field = "client_certificate";
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| invalid(field, "holds no private key in PEM"))?;
        builder
            .with_client_auth_cert(chain.map_err(|_| invalid(field, "has a malformed section in its PEM"))?, key)
            .map_err(|error| invalid(field, error))
    }

    fn added_roots(&self) -> Result<RootCertStore, InvalidInput> {
        let field = "root_certificate";
        if self.only_added_roots && self.added_roots.is_empty() {
            return Err(invalid("only_added_root_certificates", "needs at least one added root certificate"));
        }
        let mut store = RootCertStore::empty();
        for pem in &self.added_roots {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(without_byte_order_mark(pem)) {
                let certificate = certificate.map_err(|_| invalid(field, "has a malformed section in its PEM"))?;
                store.add(certificate).map_err(|error| invalid(field, error))?;
                found = true;
            }
            if !found {
                return Err(invalid(field, "holds no certificate in PEM"));
            }
        }
        Ok(store)
    }
}

fn without_byte_order_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

/// Returns whether the peer rejected the client certificate, or the lack of one.
///
/// In TLS 1.3, this alert arrives after the handshake of the client, and so after the request. The
/// server has not read the request, because its own handshake failed.
pub(super) fn is_rejected_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = find::<rustls::Error>(error) else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
            | Alert::DecryptError
    )
}

fn invalid(field: &'static str, reason: impl Display) -> InvalidInput {
    InvalidInput::new(field, reason.to_string())
}

#[cfg(feature = "aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "fails if the features are disabled")]
fn provider() -> Result<Arc<CryptoProvider>, InvalidInput> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(any(feature = "ring", feature = "ureq"), not(feature = "aws-lc-rs")))]
#[allow(clippy::unnecessary_wraps, reason = "fails if the features are disabled")]
fn provider() -> Result<Arc<CryptoProvider>, InvalidInput> {
    Ok(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "ureq", feature = "aws-lc-rs")))]
fn provider() -> Result<Arc<CryptoProvider>, InvalidInput> {
    Err(invalid("tls", "has no cryptography provider: enable the feature `ring` or `aws-lc-rs`"))
}

/// Verifies server certificates as rustls does, but loads the default roots at the first handshake.
///
/// Loading them takes most of the time of a first call, and a client that uses only plain http does
/// not need them.
#[derive(Debug)]
struct LazyVerifier {
    provider: Arc<CryptoProvider>,
    added_roots: RootCertStore,
    /// The roots to use instead of those of the platform.
    default_roots: Option<Arc<RootCertStore>>,
    verifier: OnceLock<Result<Arc<WebPkiServerVerifier>, rustls::Error>>,
}

impl LazyVerifier {
    fn verifier(&self) -> Result<&WebPkiServerVerifier, rustls::Error> {
        let build = || {
            let mut roots = self.default_roots.clone().unwrap_or_else(platform_roots);
            if !self.added_roots.is_empty() {
                Arc::make_mut(&mut roots).extend(self.added_roots.roots.iter().cloned());
            }
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::Other(OtherError(Arc::new(error))))
        };
        self.verifier.get_or_init(build).as_deref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for LazyVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(certificate, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns the roots of the platform, or the bundled ones if the platform has none, as in a minimal
/// container image. They are loaded once per process.
fn platform_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| Arc::new(platform_or_bundled(platform_certificates()))))
}

/// Returns the roots that the environment names. They are loaded at once, so that an invalid
/// variable is reported when the transport is built, and once per process.
fn environment_store() -> Result<Option<Arc<RootCertStore>>, InvalidInput> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Some(Arc::clone(roots)));
    }
    let roots = environment_roots(&|name| std::env::var_os(name))?;
    Ok(roots.map(|roots| Arc::clone(ROOTS.get_or_init(|| Arc::new(roots)))))
}

/// Loads the certificates of the platform.
///
/// Many systems have a file with all certificates, and a folder that holds each of them again. The
/// file alone is loaded if it has certificates, which saves most of the time of a first request.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    if let Some(file) = openssl_probe::probe().cert_file {
        let found = rustls_native_certs::load_certs_from_paths(Some(&file), None).certs;
        if !found.is_empty() {
            return found;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

/// Loads the certificates that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn environment_roots(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<RootCertStore>, InvalidInput> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let (file, folders) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
    if file.is_none() && folders.is_none() {
        return Ok(None);
    }
    let mut store = RootCertStore::empty();
    let mut add = |field: &'static str, paths: Vec<PathBuf>| {
        let before = store.len();
        for path in &paths {
            let unreadable = |error| invalid(field, format!("names {}, which cannot be read: {error}", path.display()));
            let metadata = path.metadata().map_err(unreadable)?;
            let (file, folder) = if metadata.is_dir() { (None, Some(&**path)) } else { (Some(&**path), None) };
            store.add_parsable_certificates(rustls_native_certs::load_certs_from_paths(file, folder).certs);
        }
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let reason = || format!("names {}, which holds no certificate in PEM", names.join(" and "));
        if store.len() == before { Err(invalid(field, reason())) } else { Ok(()) }
    };
    if let Some(file) = file {
        add("SSL_CERT_FILE", vec![file.into()])?;
    }
    if let Some(folders) = folders {
        add("SSL_CERT_DIR", std::env::split_paths(&folders).collect())?;
    }
    Ok(Some(store))
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
    fn bundled_roots_replace_missing_platform_roots() {
        let bundled = webpki_roots::TLS_SERVER_ROOTS.len();
        assert!(bundled > 100);
        for platform in [Vec::new(), vec![CertificateDer::from_slice(b"no certificate").into_owned()]] {
            assert_eq!(platform_or_bundled(platform).len(), bundled);
        }
    }

    #[test]
    fn transports_share_the_default_roots() {
        let roots = platform_roots();
        let before = Arc::strong_count(&roots);
        let verifiers = [(); 2].map(|()| LazyVerifier {
            provider: provider().unwrap(),
            added_roots: RootCertStore::empty(),
            default_roots: None,
            verifier: OnceLock::new(),
        });
        assert_eq!(Arc::strong_count(&roots), before);
        assert!(verifiers.iter().all(|verifier| verifier.verifier().is_ok()));
        assert_eq!(Arc::strong_count(&roots), before + 2);
    }

    #[test]
    fn environment_must_name_certificates() {
        let folder = std::env::temp_dir().join(format!("fetch-hive-roots-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("empty")).unwrap();
        std::fs::write(folder.join("no.pem"), "no certificate").unwrap();
        let roots = |name: &str, value: &str| {
            environment_roots(&|asked| (asked == name).then(|| folder.join(value).into_os_string()))
        };
        for (name, value) in [
            ("SSL_CERT_FILE", "missing.pem"),
            ("SSL_CERT_FILE", "no.pem"),
            ("SSL_CERT_DIR", "missing"),
            ("SSL_CERT_DIR", "empty"),
        ] {
            let error = roots(name, value).unwrap_err();
            assert_eq!(error.field, name);
            assert!(error.to_string().contains(value), "{error}");
        }
        assert!(environment_roots(&|_| None).unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
