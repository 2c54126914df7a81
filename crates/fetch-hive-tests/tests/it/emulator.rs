//! The limits and callbacks of the emulator.

use std::time::Duration;

use fetch_hive_client::types::RunStatus;
use fetch_hive_client::{Client, RetryPolicy};
use fetch_hive_emulator::{CallbackReceiver, Deployment, Emulator};
use fetch_hive_tests::stack;

fn client(emulator: &Emulator) -> Client {
    stack::client(&emulator).api_key("fhk_test").retry(RetryPolicy::never()).build().unwrap()
}

#[tokio::test]
async fn callback_runs_queue_when_direct_runs_are_rejected() {
    let emulator = Emulator::builder()
        .concurrency(1)
        .deployment(Deployment::workflow("slow").delay_ms(300))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let mut inbox = CallbackReceiver::start().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let run = client.invoke_workflow("slow").callback_url(inbox.url()).await.unwrap();
        statuses.push(run.run_status.clone().unwrap());
    }
    assert_eq!(statuses, [RunStatus::Running, RunStatus::Queued, RunStatus::Queued]);
    assert_eq!(client.invoke_workflow("slow").await.unwrap_err().status().unwrap().as_u16(), 429);
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(10), inbox.next()).await.unwrap().unwrap();
    }
    assert_eq!((emulator.max_concurrent_runs(), emulator.active_runs()), (1, 0));
    assert!(emulator.runs().iter().all(|run| run.run_status == "completed"));
}

#[tokio::test]
async fn approved_run_continues_by_callback() {
    let emulator =
        Emulator::builder().deployment(Deployment::workflow("review").human_in_the_loop()).start().await.unwrap();
    let client = client(&emulator);
    assert_eq!(client.invoke_workflow("review").await.unwrap_err().status().unwrap().as_u16(), 422);
    let mut inbox = CallbackReceiver::start().await.unwrap();
    client.invoke_workflow("review").callback_url(inbox.url()).await.unwrap();
    assert!(inbox.next().await.is_some());
}

#[tokio::test]
async fn private_addresses_except_loopback_get_no_callback() {
    let emulator = Emulator::builder().delivery(2, Duration::from_millis(1)).start().await.unwrap();
    client(&emulator).invoke_workflow("d").callback_url("https://10.0.0.1/cb").await.unwrap();
    while emulator.deliveries().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(emulator.deliveries().len(), 1, "there is no use in trying again");
    let refused = emulator.deliveries().remove(0).outcome.unwrap_err();
    assert!(refused.contains("private address"), "{refused}");
}

#[tokio::test]
async fn dropped_emulator_stops() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.address();
    client(&emulator).invoke_workflow("d").await.unwrap();
    drop(emulator);
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), refused).await.unwrap();
}

#[tokio::test]
async fn run_continues_after_its_caller_disconnects() {
    let emulator = Emulator::builder().deployment(Deployment::workflow("slow").delay_ms(200)).start().await.unwrap();
    let lost = client(&emulator).invoke_workflow("slow").timeout(Duration::from_millis(60)).await.unwrap_err();
    assert!(lost.may_have_run());
    let ended = async {
        while emulator.runs()[0].run_status != "completed" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}

#[tokio::test]
async fn debug_output_of_a_client_contains_no_key() {
    let emulator = Emulator::start().await.unwrap();
    let builder = stack::client(&emulator).api_key("fhk_TOPSECRET");
    let printed = format!("{builder:?}");
    let client = builder.timeout(Duration::from_secs(7)).build().unwrap();
    let call = client.invoke_workflow("d");
    let text = format!("{printed} {client:?} {call:?} {emulator:?} {:#?}", client.workspace("w").agents());
    assert!(!text.contains("TOPSECRET"), "{text}");
    let shown = format!("{client:?}");
    assert!(shown.contains(&emulator.base_url()) && shown.contains("7s") && shown.contains("idle_timeout"), "{shown}");
    let run = client.invoke_workflow("d").callback_url("https://10.0.0.1/cb").await.unwrap();
    let secret = run.webhook_secret.clone().unwrap();
    assert!(!format!("{run:?}").contains(secret.expose()), "{run:?}");
}
