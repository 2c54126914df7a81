//! Workflow runs from end to end.

use std::collections::HashMap;
use std::time::Duration;

use fetch_hive_client::core::signature::verify;
use fetch_hive_client::types::{InvokeWorkflow, OutputError, RunStatus, ToolApproval};
use fetch_hive_client::{Client, ErrorKind, HyperTransport, RateLimit, Timeout, TransportErrorKind};
use fetch_hive_emulator::{CallbackReceiver, Deployment, Emulator, Fault};
use fetch_hive_tests::stack;
use http::Version;
use serde_json::{Value, json};

fn client(emulator: &Emulator) -> Client {
    stack::client(&emulator).api_key("fhk_test").build().unwrap()
}

#[tokio::test]
async fn direct_run_returns_its_output() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator);
    let run = client.invoke_workflow("weekly-report").variant("default").input("topic", "enterprise AI").await.unwrap();
    assert_eq!(run.run_status, Some(RunStatus::Completed));
    assert!(run.request_id.as_ref().unwrap().as_str().starts_with("req_"));
    assert_eq!(run.output_text(), Some("weekly-report (default): topic = enterprise AI"));
    assert_eq!((run.status().as_u16(), run.parts().attempts), (200, 1));
    assert!(run.body().starts_with(b"{"));

    let seen = &emulator.requests()[0];
    assert_eq!(seen.operation.as_deref(), Some("invokeWorkflow"));
    assert_eq!(seen.path, "/v1/workflow/invoke");
    assert_eq!(seen.headers["authorization"], "Bearer fhk_test");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("fetch-hive-rust/"));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        body,
        json!({"deployment": "weekly-report", "variant": "default", "inputs": {"topic": "enterprise AI"}})
    );
}

#[tokio::test]
async fn every_argument_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator);
    let request = InvokeWorkflow::new("d")
        .variant("v2")
        .inputs(HashMap::from([("list", vec![1, 2])]))
        .input("flag", true)
        .callback_url("https://example.com/cb")
        .user("u1")
        .metadata("count", 12)
        .metadata("region", None::<&str>)
        .tool_approval(ToolApproval::Policy)
        .extra("priority", 3);
    let run = client.call(request).header("x-trace", "t1").await.unwrap();
    assert_eq!((run.status().as_u16(), &run.run_status), (202, &Some(RunStatus::Running)));
    assert!(run.webhook_secret.is_some());
    let seen = &emulator.requests()[0];
    assert_eq!(seen.headers["x-trace"], "t1");
    let want = json!({
        "deployment": "d", "variant": "v2", "inputs": {"list": [1, 2], "flag": true},
        "async": {"enabled": true, "callback_url": "https://example.com/cb"},
        "user": "u1", "metadata": {"count": 12, "region": null}, "tool_approval": "policy", "priority": 3,
    });
    assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), want);
}

#[tokio::test]
async fn callback_run_delivers_its_signed_result() {
    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("good").output(json!({"n": 1})).delay_ms(5))
        .deployment(Deployment::workflow("bad").failure("model refused"))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let mut inbox = CallbackReceiver::start_with_statuses([http::StatusCode::SERVICE_UNAVAILABLE]).await.unwrap();
    for (deployment, event_type) in [("good", "workflow.completed"), ("bad", "workflow.failed")] {
        let run = client.invoke_workflow(deployment).metadata("n", 12).callback_url(inbox.url()).await.unwrap();
        let secret = run.webhook_secret.clone().unwrap();
        let first = inbox.next().await.unwrap();
        let delivery = if deployment == "good" { inbox.next().await.unwrap() } else { first };
        verify([&secret], delivery.headers(), delivery.body()).unwrap();
        let event: Value = serde_json::from_slice(delivery.body()).unwrap();
        assert_eq!(event["event_type"], event_type);
        assert_eq!(event["request_id"], run.request_id.as_ref().unwrap().as_str());
        assert_eq!(event["data"]["user_metadata"]["n"], 12);
    }
    assert_eq!(emulator.deliveries()[0].outcome, Ok(503));
}

#[tokio::test]
async fn failed_run_is_a_response_without_output() {
    let emulator =
        Emulator::builder().deployment(Deployment::workflow("bad").failure("model refused")).start().await.unwrap();
    let run = client(&emulator).invoke_workflow("bad").await.unwrap();
    assert_eq!(run.run_status, Some(RunStatus::Failed));
    let Err(OutputError::Failed(failed)) = run.into_output() else { panic!("a failed run has no output") };
    assert_eq!(failed.reason.as_deref(), Some("model refused"));
}

#[tokio::test]
async fn error_responses_of_the_service_are_typed() {
    let emulator = Emulator::builder()
        .api_key("fhk_test")
        .concurrency(1)
        .deployment(Deployment::workflow("human").human_in_the_loop())
        .deployment(Deployment::workflow("slow").delay_ms(2_000))
        .start()
        .await
        .unwrap();
    let good = client(&emulator);
    let once = || fetch_hive_client::RetryPolicy::never();

    let stranger = stack::client(&emulator).api_key("fhk_wrong").build().unwrap();
    let error = stranger.invoke_workflow("d").await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.api().unwrap().message()), (401, Some("Invalid access.")));
    assert!(!error.may_have_run() && !error.is_retryable());

    let error = good.invoke_workflow("human").await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 422);

    let (slow, held) = tokio::join!(good.invoke_workflow("slow").timeout(Duration::from_millis(500)), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        good.invoke_workflow("d").retry(once()).await
    });
    let slow = slow.unwrap_err();
    assert_eq!(slow.timeout(), Some(Timeout::Deadline));
    assert!(slow.may_have_run() && !slow.is_retryable());
    let held = held.unwrap_err();
    assert_eq!(held.api().unwrap().rate_limit(), Some(RateLimit::Concurrency));
    assert!(held.is_retryable() && !held.may_have_run());

    let capped = Emulator::builder().daily_cap(1).start().await.unwrap();
    let client = client(&capped);
    client.invoke_workflow("d").await.unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    let limit = RateLimit::DailyCap { limit: Some(1), current: Some(1) };
    assert_eq!((error.api().unwrap().rate_limit(), error.attempts()), (Some(limit), 1));
    assert!(!error.is_retryable());
    assert_eq!(capped.requests().len(), 2);
}

#[tokio::test]
async fn unknown_certificate_authority_is_rejected_before_sending() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::builder().tls(true).start().await.unwrap();
    let trusting = HyperTransport::builder().add_root_certificates_pem(emulator.ca_pem().unwrap()).build().unwrap();
    let client =
        Client::builder().api_key("fhk_test").base_url(emulator.base_url()).transport(trusting).build().unwrap();
    client.invoke_workflow("d").await.unwrap();
    assert_eq!(emulator.requests()[0].version, Version::HTTP_2);

    let wary = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let error = wary.invoke_workflow("d").await.unwrap_err();
    let ErrorKind::Transport(transport) = error.kind() else { panic!("{error:?}") };
    assert_eq!(transport.kind(), TransportErrorKind::NotSent);
    assert!(!error.may_have_run() && error.is_retryable());
    assert_eq!(emulator.requests().len(), 1);
}

async fn burst(client: &Client) {
    let calls: Vec<_> = (0..64).map(|_| tokio::spawn(client.invoke_workflow("d").into_future())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn http2_calls_share_one_connection() {
    fetch_hive_tests::needs!(Hyper);
    for warm in [true, false] {
        let emulator = Emulator::builder().tls(true).start().await.unwrap();
        let transport =
            HyperTransport::builder().add_root_certificates_pem(emulator.ca_pem().unwrap()).build().unwrap();
        let client =
            Client::builder().api_key("fhk_test").base_url(emulator.base_url()).transport(transport).build().unwrap();
        if warm {
            client.invoke_workflow("d").await.unwrap();
        }
        burst(&client).await;
        assert_eq!(emulator.connections().accepted, 1, "warm: {warm}");
        assert!(emulator.requests().iter().all(|request| request.version == Version::HTTP_2));
    }
}

#[tokio::test]
async fn thousand_calls_use_one_connection() {
    fetch_hive_tests::needs!(Socket);
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator);
    for _ in 0..1_000 {
        client.invoke_workflow("d").await.unwrap();
    }
    assert_eq!((emulator.connections().accepted, emulator.requests().len()), (1, 1_000));
}

#[tokio::test]
async fn emulator_faults_reach_the_caller() {
    let emulator = Emulator::builder()
        .fault(Fault::status(500).nth(1).body(r#"{"error":"E","error_code":"internal_server_error"}"#))
        .fault(Fault::close().nth(1))
        .fault(Fault::hang().nth(1))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    assert_eq!(client.invoke_workflow("d").await.unwrap_err().code().unwrap().as_str(), "internal_server_error");
    let closed = client.invoke_workflow("d").await.unwrap_err();
    assert!(closed.may_have_run() && closed.attempts() == 1, "{closed:?}");
    let hung = client.invoke_workflow("d").headers_timeout(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(hung.timeout(), Some(Timeout::Headers));
    assert!(client.invoke_workflow("d").await.is_ok());
    assert!(emulator.runs().len() == 1 && emulator.active_runs() == 0);
}
