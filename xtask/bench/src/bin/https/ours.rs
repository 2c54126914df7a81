use std::time::Duration;

use fetch_hive_bench::KEY;
use fetch_hive_client::{Client, HyperTransport, open_asset_file};

use super::{BoxError, Caller, Row};

pub(super) struct Ours(Client);

impl Ours {
    pub(super) fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let transport = HyperTransport::builder().add_root_certificates_pem(std::fs::read(certificate)?);
        let transport = transport.only_added_root_certificates().build()?;
        let builder = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).transport(transport);
        Ok(Self(builder.timeout(Duration::from_secs(600)).build()?))
    }
}

#[async_trait::async_trait]
impl Caller for Ours {
    async fn call(&self) -> Result<(), BoxError> {
        let call = self.0.invoke_workflow("weekly-report").input("topic", "enterprise AI").input("audience", "board");
        assert!(call.await?.request_id.is_some());
        Ok(())
    }

    async fn upload(&self, file: &str) -> Result<(), BoxError> {
        let file = open_asset_file(file, "application/octet-stream")?.max_bytes(u64::MAX);
        self.0.workspace("ws_1").assets().upload(file).await?;
        Ok(())
    }

    async fn rows(&self, rows: Vec<Row>) -> Result<(), BoxError> {
        self.0.invoke_workflow("weekly-report").input("rows", &rows).await?;
        Ok(())
    }

    async fn text(&self, text: String) -> Result<(), BoxError> {
        self.0.invoke_workflow("weekly-report").input("text", text).await?;
        Ok(())
    }

    async fn open_stream(&self) -> Result<Box<dyn Send>, BoxError> {
        let mut events = self.0.invoke_prompt("weekly-report").input("topic", "enterprise AI").stream().await?;
        events.next().await.ok_or("no event")??;
        Ok(Box::new(events))
    }

    async fn events(&self, count: usize) -> Result<(), BoxError> {
        let call = self.0.invoke_agent("researcher", "What is new?").header("x-events", (count * 2).to_string());
        let (mut events, mut seen) = (call.stream().await?, 0);
        while let Some(event) = events.next().await {
            event?;
            seen += 1;
        }
        assert!(seen + 2 >= count, "{seen} of {count} events");
        Ok(())
    }
}
