use http::Method;

use crate::{Auth, Body, Endpoint, InvalidInput, PathWriter, QueryWriter, Retry};

/// A trigger request that sends its webhook secret in the URL, as `?secret=`.
///
/// It is a [fallback](fetch_hive_types::contract#callbacks) for senders that cannot set headers.
/// Servers and proxies write URLs to their logs. Anyone who can read those logs can then start runs
/// and sign callbacks.
#[derive(Clone, Debug)]
pub struct SecretInQuery<E>(pub E);

impl<E: Endpoint> Endpoint for SecretInQuery<E> {
    type Response = E::Response;
    const NAME: &'static str = E::NAME;
    const METHOD: Method = E::METHOD;
    const PATH: &'static str = E::PATH;
    const RETRY: Retry = E::RETRY;
    const STARTS_RUN: bool = E::STARTS_RUN;

    fn validate(&self) -> Result<(), InvalidInput> {
        if let Auth::WebhookSecret(secret) = self.0.auth() {
            secret.check().map_err(|invalid| InvalidInput::new("secret", invalid.to_string()))?;
        }
        self.0.validate()
    }

    fn path(&self, path: &mut PathWriter) {
        self.0.path(path);
    }

    fn query(&self, query: &mut QueryWriter) {
        self.0.query(query);
        if let Auth::WebhookSecret(secret) = self.0.auth() {
            query.pair("secret", Some(secret.expose()));
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        self.0.body()
    }

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }

    fn callback_url(&self) -> Option<&str> {
        self.0.callback_url()
    }

    fn target(&self) -> Option<&str> {
        self.0.target()
    }
}
