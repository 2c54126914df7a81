//! Runs a workflow directly, then with callback delivery, and verifies the callback.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! Without `FETCH_HIVE_API_KEY`, it uses an emulator in this process. With the key, it calls the
//! service: set `FETCH_HIVE_DEPLOYMENT` to one of your deployments. The service cannot deliver a
//! callback to this machine, so the callback part also needs `FETCH_HIVE_CALLBACK_URL`, a public
//! URL.

use std::env;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::callback::Verifier;
use fetch_hive_client::types::{InvokeWorkflowResponse, RunStatus};
use fetch_hive_emulator::{CallbackReceiver, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let deployment = env::var("FETCH_HIVE_DEPLOYMENT").unwrap_or_else(|_| "weekly-report".to_owned());
    if env::var_os(fetch_hive_client::API_KEY_VARIABLE).is_some() {
        let client = Client::from_env()?;
        println!("FETCH_HIVE_API_KEY is set: using the service");
        run_directly(&client, &deployment).await?;
        let Ok(url) = env::var("FETCH_HIVE_CALLBACK_URL") else {
            println!("callback: skipped, because FETCH_HIVE_CALLBACK_URL is not set");
            return Ok(());
        };
        return print_run("accepted", &*client.invoke_workflow(deployment).callback_url(url).await?);
    }

    let emulator = Emulator::start().await?;
    println!("FETCH_HIVE_API_KEY is not set: using an emulator at {}", emulator.base_url());
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;
    run_directly(&client, &deployment).await?;
    run_with_callback(&client, &deployment).await
}

async fn run_directly(client: &Client, deployment: &str) -> Result<(), Box<dyn Error>> {
    let run = client
        .invoke_workflow(deployment)
        .variant("default")
        .input("topic", "enterprise AI")
        .timeout(Duration::from_secs(600))
        .await?;
    print_run("direct", &run)
}

async fn run_with_callback(client: &Client, deployment: &str) -> Result<(), Box<dyn Error>> {
    let mut inbox = CallbackReceiver::start().await?;
    let run = client
        .invoke_workflow(deployment)
        .variant("default")
        .input("topic", "enterprise AI")
        .callback_url(inbox.url())
        .await?;
    print_run("accepted", &run)?;

    let secret = run.webhook_secret()?.clone();
    let request = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await?.ok_or("the inbox is closed")?;
    // `verify` checks the signature before it parses the body.
    let delivery = Verifier::new([secret]).verify(request.headers(), request.body().clone())?;
    println!("callback: signature verified, {} bytes", delivery.raw.len());
    println!("callback: output {}", delivery.event.output_as::<String>()?);
    Ok(())
}

fn print_run(label: &str, run: &InvokeWorkflowResponse) -> Result<(), Box<dyn Error>> {
    let status = run.run_status.as_ref().map_or("unknown", RunStatus::as_str);
    let id = run.request_id.as_ref().map_or("none", |id| id.as_str());
    println!("{label}: status {status}, request id {id}");
    if run.run_status == Some(RunStatus::Completed) {
        println!("{label}: output {}", run.output_as::<String>()?);
    }
    Ok(())
}
