//! Which proxy a request goes through, for every included transport.

use fetch_hive_core::{InvalidInput, is_loopback};

/// The proxy setting of a transport.
#[derive(Clone, Default)]
pub(super) enum ProxyChoice {
    /// The proxies named by `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    #[default]
    Environment,
    Disabled,
    Url(String),
}

impl ProxyChoice {
    /// Returns whether this choice can send a request through a proxy at all, so that most programs
    /// match no request.
    pub(super) fn is_enabled(&self) -> bool {
        match self {
            Self::Environment => environment_names_proxy() && !environment_excludes_all(),
            Self::Disabled => false,
            Self::Url(_) => true,
        }
    }

    /// Returns whether requests to a host may go through the proxy.
    ///
    /// A proxy of the environment usually runs on another machine, where a loopback address means
    /// another host.
    pub(super) fn applies_to(&self, host: &str) -> bool {
        match self {
            Self::Environment => !is_loopback(host),
            Self::Disabled => false,
            Self::Url(_) => true,
        }
    }

    /// Checks the scheme of an explicit proxy.
    pub(super) fn check_scheme(&self, schemes: &[&str], reason: &'static str) -> Result<(), InvalidInput> {
        match self {
            Self::Url(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => {
                Err(InvalidInput::new("proxy", reason))
            }
            _ => Ok(()),
        }
    }
}

fn environment_names_proxy() -> bool {
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Returns whether `NO_PROXY` contains `*`. hyper-util's matcher applies `*` to host names only,
/// and not to addresses.
fn environment_excludes_all() -> bool {
    let listed = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
    listed.is_some_and(|listed| listed.split(',').any(|host| host.trim() == "*"))
}
