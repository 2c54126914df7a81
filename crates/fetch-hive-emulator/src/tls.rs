use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fault::Connecting;

/// A certificate for loopback, and the authority that signed it.
pub(crate) struct Identity {
    /// Where the emulator listens.
    own: IpAddr,
    authority: CertifiedIssuer<'static, KeyPair>,
    config: Arc<ServerConfig>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(Box<dyn std::error::Error + Send + Sync>);

type Made<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Identity {
    pub(crate) fn new(own: IpAddr) -> Result<Self, TlsError> {
        let make = || {
            let authority = authority()?;
            let config = server(&authority, &names(own)?)?;
            Ok(Self { own, authority, config })
        };
        make().map_err(TlsError)
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What a fault shows instead.
    pub(crate) fn wrong(&self, fault: Connecting) -> Result<Arc<ServerConfig>, TlsError> {
        let make = || match fault {
            Connecting::WrongName => {
                server(&self.authority, &CertificateParams::new(vec!["another.example".to_owned()])?)
            }
            Connecting::Stranger => server(&authority()?, &names(self.own)?),
            _ => {
                let mut certificate = names(self.own)?;
                certificate.not_before = rcgen::date_time_ymd(2000, 1, 1);
                certificate.not_after = rcgen::date_time_ymd(2001, 1, 1);
                server(&self.authority, &certificate)
            }
        };
        make().map_err(TlsError)
    }
}

fn authority() -> Made<CertifiedIssuer<'static, KeyPair>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "fetch-hive-emulator");
    Ok(CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?)
}

/// For loopback, and the address that is listened on.
fn names(own: IpAddr) -> Made<CertificateParams> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if !own.is_loopback() && !own.is_unspecified() {
        names.push(own.to_string());
    }
    Ok(CertificateParams::new(names)?)
}

fn server(authority: &CertifiedIssuer<'static, KeyPair>, certificate: &CertificateParams) -> Made<Arc<ServerConfig>> {
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
