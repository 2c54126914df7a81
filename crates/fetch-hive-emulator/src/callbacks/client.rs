use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The HTTP client that delivers callbacks.
pub(crate) type CallbackClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Creates a client for `http` and `https` URLs that trusts the public certificate authorities.
pub(crate) fn callback_client() -> Result<CallbackClient, rustls::Error> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
