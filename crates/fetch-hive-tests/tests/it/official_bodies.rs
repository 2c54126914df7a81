//! The tests of the official SDK for construction, headers and responses.

use std::process::{Command, Output};

use fetch_hive_client::core::Api;
use fetch_hive_client::types::{ApiKey, InvokeWorkflow, RunStatus};
use fetch_hive_client::{API_KEY_VARIABLE, BaseUrl, Client, ErrorKind};
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::stack;

fn invalid(result: Result<Client, fetch_hive_client::Error>) -> String {
    let error = result.unwrap_err();
    let ErrorKind::Invalid(invalid) = error.kind() else { panic!("{error:?}") };
    assert_eq!(invalid.field, "api_key");
    error.to_string()
}

/// Runs a workflow in another process with its own environment.
async fn in_environment(emulator: &Emulator, key: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invoke-from-env"));
    command.arg(emulator.base_url()).env_remove(API_KEY_VARIABLE);
    // No proxy listens here. It must not be used for a loopback host.
    command.envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")));
    if let Some(key) = key {
        command.env(API_KEY_VARIABLE, key);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn missing_key_is_an_error() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::start().await.unwrap();
    for key in [None, Some("   "), Some("fhk_sécret")] {
        let output = in_environment(&emulator, key).await;
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("api_key") && text.contains("nothing was sent") && !text.contains("cret"), "{text}");
    }
    assert!(emulator.requests().is_empty());
    for key in ["", " \t", "fhk_SECRET 123", "fhk_sécret", "\"fhk_SECRET\"", "Bearer fhk_SECRET"] {
        let text = invalid(Client::new(key));
        assert!(!text.contains("SECRET") && !text.contains("cret"), "{text}");
    }
}

#[tokio::test]
async fn key_and_proxy_are_read_from_the_environment() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::start().await.unwrap();
    let output = in_environment(&emulator, Some("env-key")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(emulator.requests()[0].headers["authorization"], "Bearer env-key");
}

#[test]
fn base_urls_of_the_sdk_tests_are_accepted() {
    let key = ApiKey::new("k").unwrap();
    let uri = |base: BaseUrl| Api::new(base).request(&InvokeWorkflow::new("d"), Some(&key)).unwrap().uri().to_string();
    assert_eq!(
        uri(BaseUrl::new("https://custom.example.com/api").unwrap()),
        "https://custom.example.com/api/workflow/invoke"
    );
    assert_eq!(
        uri(BaseUrl::new("https://custom.example.com/api/").unwrap()),
        "https://custom.example.com/api/workflow/invoke"
    );
    assert_eq!(uri(BaseUrl::default()), "https://api.fetchhive.com/v1/workflow/invoke");
    for bad in ["", "not a url", "api.fetchhive.com/v1", "http://example.com/v1", "https://"] {
        let error = Client::builder().api_key("fhk_SECRET").base_url(bad).build().unwrap_err();
        assert!(error.to_string().contains("base_url") && !error.to_string().contains("SECRET"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn sdk_headers_are_sent() {
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator).api_key("my-secret-key").build().unwrap();
    client.invoke_workflow("d").await.unwrap();
    let headers = &emulator.requests()[0].headers;
    assert_eq!(headers["authorization"], "Bearer my-secret-key");
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("fetch-hive-rust/"));
}

#[tokio::test]
async fn responses_of_the_sdk_models_are_parsed() {
    let emulator = Emulator::builder()
        .fault(
            Fault::status(200)
                .nth(1)
                .body(r#"{"request_id":"r","run_id":"run_1","status":"completed","output":"done"}"#),
        )
        .fault(Fault::status(200).nth(1).body(r#"{"status":"queued","tomorrow":{"new":1}}"#))
        .start()
        .await
        .unwrap();
    let client = stack::client(&emulator).api_key("k").build().unwrap();
    let run = client.invoke_workflow("my-workflow").await.unwrap();
    assert_eq!(run.run_status, Some(RunStatus::Completed));
    assert_eq!((run.request_id.clone().unwrap().as_str(), run.run_id.clone().unwrap().as_str()), ("r", "run_1"));
    assert_eq!(run.into_output().unwrap(), "done");
    let queued = client.invoke_workflow("d").callback_url("https://example.com/cb").await.unwrap();
    assert_eq!(queued.run_status, Some(RunStatus::Queued));
    assert_eq!(queued.extra["tomorrow"]["new"], 1);
}

#[tokio::test]
async fn status_500_is_an_error() {
    let emulator = Emulator::builder().fault(Fault::status(500).body("Internal Server Error")).start().await.unwrap();
    let client = stack::client(&emulator).api_key("k").build().unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), &error.body().unwrap()[..]), (500, &b"Internal Server Error"[..]));
}
