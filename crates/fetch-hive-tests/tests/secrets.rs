//! Nothing that is printed of public types and errors holds a key, a secret, or the body of a reply.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fmt::Debug;
use std::future::IntoFuture as _;

use async_trait::async_trait;
use fetch_hive_client::core::SecretInQuery;
use fetch_hive_client::types::{
    AgentTrigger, ApiKey, DeploymentTrigger, HiveAgentRun, TriggerAgent, TriggerPrompt, TriggerWorkflow, WebhookSecret,
    WorkflowRun,
};
use fetch_hive_client::{BoxError, Client, CredentialProvider, Error, HyperTransport, RepeatPolicy, ResponseBody};
use fetch_hive_emulator::{Emulator, Fault};
use serde_json::json;

const KEY: &str = "fhk_KEYMARKER";
const SECRET: &str = "whsec_SECRETMARKER";
const BODY: &str = "BODYMARKER";

fn check(printed: &str) {
    for marker in ["KEYMARKER", "SECRETMARKER", BODY] {
        assert!(!printed.contains(marker), "{marker} in {printed}");
    }
}

fn debug(value: &dyn Debug) {
    check(&format!("{value:?} {value:#?}"));
}

fn error(error: &impl std::error::Error) {
    check(&format!("{error} {error:?} {error:#?}"));
    let mut source = error.source();
    while let Some(cause) = source {
        check(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
}

struct Vault(Option<&'static str>);

#[async_trait]
impl CredentialProvider for Vault {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        Ok(ApiKey::new(self.0.ok_or("the vault is closed")?)?)
    }
}

#[test]
fn trap_08_types_that_hold_a_secret_do_not_show_it() {
    let body = || DeploymentTrigger::new("https://example.com/cb");
    debug(&ApiKey::new(KEY).unwrap());
    error(&ApiKey::new(format!("{KEY}\n")).unwrap_err());
    debug(&WebhookSecret::new(SECRET));
    error(&WebhookSecret::new(format!("{SECRET}\n")).check().unwrap_err());
    debug(&TriggerWorkflow::new("e", "v", SECRET, body()));
    debug(&TriggerPrompt::new("e", "v", SECRET, body()));
    let agent = || TriggerAgent::new("a", SECRET, AgentTrigger::new("hi", "https://example.com/cb"));
    debug(&agent());
    debug(&SecretInQuery(agent()));
    let reply = json!({"request_id": "req_1", "run_status": "running", "webhook_secret": SECRET});
    debug(&serde_json::from_value::<WorkflowRun>(reply.clone()).unwrap());
    debug(&serde_json::from_value::<HiveAgentRun>(reply).unwrap());
    debug(&ResponseBody::whole(BODY));

    let builder = Client::builder().api_key(KEY);
    debug(&builder);
    let client = builder.build().unwrap();
    debug(&client);
    debug(&client.invoke_agent("a", "hi").header("x-own", KEY));
    debug(&client.workspace("w"));
    debug(&client.workspace("w").approvals().all(fetch_hive_client::types::ApprovalFilter::new()));
    debug(&Client::builder().credentials(Vault(Some(KEY))).build().unwrap());
    error(&Client::builder().api_key(format!("{KEY}\u{e9}")).build().unwrap_err());
    let proxied = HyperTransport::builder().proxy("http://user:SECRETMARKER@127.0.0.1:1");
    debug(&proxied);
    debug(&proxied.build().unwrap());
}

#[tokio::test]
async fn trap_08_errors_show_neither_key_nor_body() {
    let emulator = Emulator::builder().start().await.unwrap();
    let client =
        Client::builder().api_key(KEY).base_url(emulator.base_url()).repeat(RepeatPolicy::never()).build().unwrap();
    let json = |status| Fault::status(status).header("content-type", "application/json");
    let html = |status| Fault::status(status).header("content-type", "text/html").header("x-echo", KEY);
    for fault in [
        html(502).body(BODY),
        html(200).body(BODY),
        json(200).body(format!("{{\"request_id\":[\"{BODY}\"]}}")),
        json(422).body(format!("{{\"detail\":\"{BODY}\"}}")),
        json(422).body(format!("{{\"error\":\"E\",\"errors\":[\"{BODY}\"],\"{BODY}\":1}}")),
        json(200).body(BODY.repeat(10)).cut_after(20),
        Fault::raw(format!("{BODY}\r\n\r\n")),
    ] {
        emulator.clear_faults();
        emulator.add_fault(fault);
        let failed = client.invoke_workflow("d").input("text", BODY).await.unwrap_err();
        error(&failed);
        debug(failed.kind());
        debug(&failed.api());
        if let Some(api) = failed.api() {
            debug(&api.payload);
            error(api);
        }
        let streamed = client.invoke_prompt("d").input("text", BODY).stream().await;
        if let Err(failed) = streamed {
            error(&failed);
        }
    }
    // A proxy's password is not in the error of a proxy that is not there.
    let proxied = || HyperTransport::builder().proxy("http://user:SECRETMARKER@127.0.0.1:1").build().unwrap();
    for url in [emulator.base_url(), "https://127.0.0.1:1/v1".to_owned()] {
        let builder = Client::builder().api_key(KEY).base_url(url).repeat(RepeatPolicy::never());
        let client = builder.transport(proxied()).build().unwrap();
        error(&client.invoke_workflow("d").await.unwrap_err());
    }
    let closed = Client::builder().credentials(Vault(None)).base_url(emulator.base_url()).build().unwrap();
    let failed: Error = closed.invoke_workflow("d").into_future().await.unwrap_err();
    error(&failed);
    assert!(!failed.may_have_run() && failed.is_retryable());
}

#[tokio::test]
async fn a_rotated_key_is_taken_up_by_the_next_attempt() {
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
async fn a_fault_in_words_is_asked_for_by_a_header() {
    let emulator = Emulator::builder().fault_header().start().await.unwrap();
    let client =
        Client::builder().api_key(KEY).base_url(emulator.base_url()).repeat(RepeatPolicy::never()).build().unwrap();
    for (words, told, runs) in
        [("close after-run", "may_have_run", 1), ("status=503", "503", 1), ("nonsense", "400", 1)]
    {
        let failed = client.invoke_workflow("d").header("x-fetch-hive-fault", words).await.unwrap_err();
        assert_eq!((failed.error_type(), emulator.runs().len()), (told, runs), "{words}");
    }
    client.invoke_workflow("d").await.unwrap();
    // Without leave, the header is one like any other.
    let plain = Emulator::start().await.unwrap();
    let client = Client::builder().api_key(KEY).base_url(plain.base_url()).build().unwrap();
    client.invoke_workflow("d").header("x-fetch-hive-fault", "close").await.unwrap();
}
