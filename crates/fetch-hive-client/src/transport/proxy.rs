//! Which proxy a request goes through, for every included transport.

use std::env::VarError;
use std::net::IpAddr;

use fetch_hive_core::{InvalidInput, check_host_and_port, is_loopback};
use http::Uri;
use ipnet::IpNet;

/// The proxy setting of a transport.
#[derive(Clone, Default)]
pub(super) enum ProxyChoice {
    /// The proxies named by `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    #[default]
    Environment,
    Disabled,
    Url(String),
}

/// The proxy of each request. `P` is the type with which a transport represents a proxy.
#[derive(Clone)]
pub(super) struct ProxyRules<P> {
    http: Option<P>,
    https: Option<P>,
    no_proxy: NoProxy,
    /// Whether loopback hosts are reached directly. A proxy of the environment usually runs on
    /// another machine, where a loopback address means another host.
    except_loopback: bool,
}

impl ProxyChoice {
    /// Reads and checks the proxies, and converts each with a function of the transport.
    ///
    /// The error names the variable and the reason, and never shows the URL.
    pub(super) fn rules<P: Clone>(
        &self,
        schemes: &[&str],
        convert: impl Fn(&str) -> Result<P, String>,
    ) -> Result<ProxyRules<P>, InvalidInput> {
        self.rules_in(&|name| std::env::var(name), schemes, convert)
    }

    pub(super) fn rules_in<P: Clone>(
        &self,
        variable: &dyn Fn(&str) -> Result<String, VarError>,
        schemes: &[&str],
        convert: impl Fn(&str) -> Result<P, String>,
    ) -> Result<ProxyRules<P>, InvalidInput> {
        let proxy = |name: &str, url: &str| {
            let url = check_proxy_url(url, schemes).map_err(|reason| InvalidInput::new(name.to_owned(), reason))?;
            convert(&url).map_err(|reason| InvalidInput::new(name.to_owned(), reason))
        };
        let none = ProxyRules { http: None, https: None, no_proxy: NoProxy::default(), except_loopback: true };
        match self {
            Self::Disabled => Ok(none),
            Self::Url(url) => {
                let proxy = proxy("proxy", url)?;
                Ok(ProxyRules { http: Some(proxy.clone()), https: Some(proxy), except_loopback: false, ..none })
            }
            Self::Environment => {
                let no_proxy = match first_set(variable, &["NO_PROXY", "no_proxy"])? {
                    Some((name, list)) => {
                        NoProxy::parse(&list).map_err(|reason| InvalidInput::new(name.to_owned(), reason))?
                    }
                    None => NoProxy::default(),
                };
                // A CGI program receives the header `Proxy` of its request as `HTTP_PROXY`.
                let is_cgi = variable("REQUEST_METHOD").is_ok();
                let http: &[&str] = if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] };
                let proxy_of = |names: &[&'static str]| {
                    let set = match first_set(variable, names)? {
                        None => first_set(variable, &["ALL_PROXY", "all_proxy"])?,
                        set => set,
                    };
                    set.map(|(name, url)| proxy(name, &url)).transpose()
                };
                let (http, https) = (proxy_of(http)?, proxy_of(&["HTTPS_PROXY", "https_proxy"])?);
                Ok(ProxyRules { http, https, no_proxy, except_loopback: true })
            }
        }
    }
}

impl<P> ProxyRules<P> {
    /// Returns the proxy for a URL, or `None` if its host is reached directly.
    pub(super) fn proxy(&self, uri: &Uri) -> Option<&P> {
        let proxy = if uri.scheme_str() == Some("http") { self.http.as_ref() } else { self.https.as_ref() }?;
        let host = uri.host()?;
        let is_direct = self.except_loopback && is_loopback(host) || self.no_proxy.contains(host, port(uri));
        (!is_direct).then_some(proxy)
    }
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

/// Returns the first variable that is set and not empty, with its value.
fn first_set<'n>(
    variable: &dyn Fn(&str) -> Result<String, VarError>,
    names: &[&'n str],
) -> Result<Option<(&'n str, String)>, InvalidInput> {
    for name in names {
        match variable(name) {
            Ok(value) if !value.is_empty() => return Ok(Some((name, value))),
            Ok(_) | Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => {
                return Err(InvalidInput::new((*name).to_owned(), "is not valid Unicode"));
            }
        }
    }
    Ok(None)
}

/// Checks the URL of a proxy, and adds the scheme `http` if it has none.
///
/// The reason does not show the URL, because it may contain a password.
fn check_proxy_url(url: &str, schemes: &[&str]) -> Result<String, String> {
    let reject = |reason: &str| Err(reason.to_owned());
    if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}') {
        return reject("contains whitespace or a line break: remove it");
    }
    if url.contains(['"', '\'', '`']) {
        return reject("contains a quote: remove it, or write it as %22, %27 or %60 in a password");
    }
    if !url.is_ascii() {
        return reject("contains a character that is not ASCII: write it percent-encoded");
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(format!("must begin with one of the supported schemes: {}", schemes.join("://, ") + "://"));
    }
    if rest.contains(['#', '?']) {
        return reject("contains `#` or `?`: write them as %23 and %3F in a password");
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '\\']) {
        return reject("contains a path: remove it, and write `/` as %2F in a password");
    }
    let (user, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains('@')) {
        return reject("contains more than one `@`: write it as %40 in a password");
    }
    if user.is_some_and(|user| !is_percent_encoded(user)) {
        return reject("contains `%` without two hexadecimal digits: write it as %25 in a password");
    }
    let name = user.and_then(|user| user.split(':').next()).unwrap_or_default();
    if scheme.to_ascii_lowercase().starts_with("http") && name.to_ascii_lowercase().contains("%3a") {
        return reject("contains a user name with a colon, which HTTP authentication does not allow");
    }
    check_host_and_port(authority)?;
    Ok(format!("{}://{rest}", scheme.to_ascii_lowercase()))
}

fn is_percent_encoded(text: &str) -> bool {
    let is_escape = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    text.split('%').skip(1).all(is_escape)
}

/// The hosts that are reached directly, as listed in `NO_PROXY`.
#[derive(Clone, Default)]
struct NoProxy(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    hosts: Hosts,
    /// The only port to which the entry applies.
    port: Option<u16>,
}

#[derive(Clone)]
enum Hosts {
    All,
    Network(IpNet),
    /// A domain and its subdomains, in lower case and without a leading dot.
    Domain(String),
}

impl NoProxy {
    /// Parses a list with commas or whitespace between the entries.
    fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split([',', ' ', '\t', '\r', '\n', ';']).filter(|entry| !entry.is_empty());
        let entries = entries.map(|text| {
            let invalid = || "contains an entry that is not a host, an IP address or a network such as 10.0.0.0/8";
            Entry::parse(text).ok_or_else(|| invalid().to_owned())
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    fn contains(&self, host: &str, port: u16) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        self.0.iter().filter(|entry| entry.port.is_none_or(|only| only == port)).any(|entry| match &entry.hosts {
            Hosts::All => true,
            Hosts::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Hosts::Domain(domain) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { hosts: Hosts::All, port: None });
        }
        if let Some(network) = parse_network(text) {
            return Some(Self { hosts: Hosts::Network(network), port: None });
        }
        if text.contains('/') {
            return None;
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let hosts = if let Some(network) = parse_network(bare) {
            Hosts::Network(network)
        } else {
            let domain = host.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
            check_host_and_port(domain).ok()?;
            Hosts::Domain(domain.to_ascii_lowercase())
        };
        Some(Self { hosts, port })
    }
}

fn parse_network(text: &str) -> Option<IpNet> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

    fn rules(variables: &[(&str, &str)]) -> Result<ProxyRules<String>, InvalidInput> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        };
        ProxyChoice::Environment.rules_in(&variable, &SCHEMES, |url| Ok(url.to_owned()))
    }

    fn proxy(variables: &[(&str, &str)], url: &'static str) -> Option<String> {
        rules(variables).unwrap().proxy(&Uri::from_static(url)).cloned()
    }

    #[test]
    fn invalid_proxy_variables_are_named_and_not_shown() {
        for value in [
            "http://proxy:3128\r\n",
            " http://proxy:3128",
            "\"http://proxy:3128\"",
            "http://user:SECRET#1@proxy:3128",
            "http://user:SECRET?1@proxy:3128",
            "http://user:SECRET/1@proxy:3128",
            "http://user:SECRET@1@proxy:3128",
            "http://user:100%SECRET@proxy:3128",
            "http://us%3Aer:SECRET@proxy:3128",
            "htp://proxy:3128",
            "socks4://proxy:1080",
            "http://proxy:99999",
            "http://proxy:",
            "http://",
            "http://:3128",
            "proxy:port",
            "http://pr\u{f6}xy:3128",
        ] {
            for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
                let Err(error) = rules(&[(name, value)]) else { panic!("{name}={value}") };
                assert_eq!(error.field, name);
                assert!(!error.to_string().contains("SECRET"), "{error}");
            }
        }
        for list in ["10.0.0.0/40", "10.0.0.0/x", "host:port", "\"a\"", "https://a"] {
            assert_eq!(rules(&[("NO_PROXY", list)]).err().unwrap().field, "NO_PROXY", "{list}");
        }
    }

    #[test]
    fn variables_apply_by_scheme() {
        let url = "https://api.example.com/v1";
        assert_eq!(proxy(&[("HTTPS_PROXY", "http://u:p%23@proxy:1/")], url).unwrap(), "http://u:p%23@proxy:1");
        assert_eq!(proxy(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "SOCKS5://proxy")], url).unwrap(), "socks5://proxy");
        assert_eq!(proxy(&[("ALL_PROXY", "socks5://a%3Ab:c@p")], url).unwrap(), "socks5://a%3Ab:c@p");
        assert_eq!(proxy(&[("all_proxy", "proxy:3128")], url).unwrap(), "http://proxy:3128");
        assert_eq!(proxy(&[("HTTP_PROXY", "http://proxy:1")], url), None);
        assert_eq!(proxy(&[("HTTP_PROXY", "http://proxy:1"), ("REQUEST_METHOD", "GET")], "http://a/"), None);
        assert_eq!(proxy(&[("ALL_PROXY", "http://proxy:1")], "http://127.0.0.1:8787/v1"), None);
    }

    #[test]
    fn no_proxy_supports_domains_networks_and_ports() {
        for (list, url, is_direct) in [
            ("*", "https://api.example.com", true),
            ("example.com", "https://api.example.com", true),
            (".example.com", "https://example.com", true),
            ("*.example.com", "https://api.EXAMPLE.com", true),
            ("example.com", "https://notexample.com", false),
            ("example.com:8443", "https://example.com", false),
            ("example.com:443", "https://example.com", true),
            ("a, 10.0.0.0/8", "https://10.20.30.40", true),
            ("10.0.0.0/8", "https://11.0.0.1", false),
            ("192.168.1.7", "https://192.168.1.7", true),
            ("192.168.1.7 b", "https://192.168.1.70", false),
            ("fd00::/8", "https://[fd00::1]", true),
            ("[fd00::1]:443", "https://[fd00::1]", true),
            ("fd00::1", "https://[fd00:0::1]", true),
            ("10.0.0.0/8", "https://[::ffff:10.0.0.1]", true),
            ("10.0.0.0/8", "https://10.example.com", false),
        ] {
            let variables = [("ALL_PROXY", "http://proxy:1"), ("NO_PROXY", list)];
            assert_eq!(proxy(&variables, url).is_none(), is_direct, "{list} {url}");
        }
    }
}
