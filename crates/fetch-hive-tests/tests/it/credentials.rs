//! The source of the API key, and faults that a request header injects.

use async_trait::async_trait;
use fetch_hive_client::types::ApiKey;
use fetch_hive_client::{BoxError, Client, CredentialProvider, RetryPolicy};
use fetch_hive_emulator::{Emulator, Fault};

const KEY: &str = "fhk_KEYMARKER";

#[tokio::test]
async fn next_attempt_uses_the_rotated_key() {
    struct Rotating(std::sync::atomic::AtomicUsize);

    #[async_trait]
    impl CredentialProvider for Rotating {
        async fn api_key(&self) -> Result<ApiKey, BoxError> {
            Ok(ApiKey::new(format!("fhk_{}", self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst)))?)
        }
    }

    let emulator =
        Emulator::builder().fault(Fault::status(429).header("retry-after-ms", "1").nth(1)).start().await.unwrap();
    let client = Client::builder().credentials(Rotating(0.into())).base_url(emulator.base_url()).build().unwrap();
    client.invoke_workflow("d").await.unwrap();
    let keys: Vec<_> = emulator.requests().iter().map(|request| request.headers["authorization"].clone()).collect();
    assert_eq!(keys, ["Bearer fhk_0", "Bearer fhk_1"]);
}

#[tokio::test]
async fn request_header_injects_a_fault() {
    let emulator = Emulator::builder().fault_header().start().await.unwrap();
    let client =
        Client::builder().api_key(KEY).base_url(emulator.base_url()).retry(RetryPolicy::never()).build().unwrap();
    for (words, told, runs) in
        [("close after-run", "may_have_run", 1), ("status=503", "503", 1), ("nonsense", "400", 1)]
    {
        let failed = client.invoke_workflow("d").header("x-fetch-hive-fault", words).await.unwrap_err();
        assert_eq!((failed.error_type(), emulator.runs().len()), (told, runs), "{words}");
    }
    client.invoke_workflow("d").await.unwrap();
    // Without permission, the header has no effect.
    let plain = Emulator::start().await.unwrap();
    let client = Client::builder().api_key(KEY).base_url(plain.base_url()).build().unwrap();
    client.invoke_workflow("d").header("x-fetch-hive-fault", "close").await.unwrap();
}
