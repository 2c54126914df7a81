use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::faults::fault::ConnectionFault;

/// A certificate for loopback addresses, and the authority that signed it.
pub(crate) struct Identity {
    /// The address that the emulator listens on.
    address: IpAddr,
    authority: CertifiedIssuer<'static, KeyPair>,
    config: Arc<ServerConfig>,
}

/// An error that occurs when the emulator cannot create its TLS certificate.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(Box<dyn std::error::Error + Send + Sync>);

type BoxResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Identity {
    pub(crate) fn new(address: IpAddr) -> Result<Self, TlsError> {
        let create = || {
            let authority = authority()?;
            let config = server_config(&authority, &names(address)?)?;
            Ok(Self { address, authority, config })
        };
        create().map_err(TlsError)
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Creates a configuration with an invalid certificate, as a fault specifies.
    pub(crate) fn invalid_config(&self, fault: ConnectionFault) -> Result<Arc<ServerConfig>, TlsError> {
        let create = || match fault {
            ConnectionFault::WrongName => {
                server_config(&self.authority, &CertificateParams::new(vec!["another.example".to_owned()])?)
            }
            ConnectionFault::UnknownIssuer => server_config(&authority()?, &names(self.address)?),
            _ => {
                let mut certificate = names(self.address)?;
                certificate.not_before = rcgen::date_time_ymd(2000, 1, 1);
                certificate.not_after = rcgen::date_time_ymd(2001, 1, 1);
                server_config(&self.authority, &certificate)
            }
        };
        create().map_err(TlsError)
    }
}

fn authority() -> BoxResult<CertifiedIssuer<'static, KeyPair>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "fetch-hive-emulator");
    Ok(CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?)
}

/// Returns certificate parameters for the loopback names and the listening address.
fn names(address: IpAddr) -> BoxResult<CertificateParams> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if !address.is_loopback() && !address.is_unspecified() {
        names.push(address.to_string());
    }
    Ok(CertificateParams::new(names)?)
}

fn server_config(
    authority: &CertifiedIssuer<'static, KeyPair>,
    certificate: &CertificateParams,
) -> BoxResult<Arc<ServerConfig>> {
    let key = KeyPair::generate()?;
    let certificate = certificate.signed_by(&key, authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
