use fetch_hive_bench::{KEY, Request, Run};

use super::{BoxError, Caller, config};

/// reqwest, for the measurements whose target names every peer.
pub(super) struct Reqwest {
    client: reqwest::Client,
    url: String,
}

impl Reqwest {
    pub(super) fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut tls = config(certificate)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build()?;
        Ok(Self { client, url: format!("{url}/v1/workflow/invoke") })
    }
}

#[async_trait::async_trait]
impl Caller for Reqwest {
    async fn call(&self) -> Result<(), BoxError> {
        let run: Run = self.client.post(&self.url).bearer_auth(KEY).json(&Request::new()).send().await?.json().await?;
        assert!(!run.request_id.is_empty());
        Ok(())
    }
}
