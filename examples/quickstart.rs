//! Runs a workflow directly, then with callback delivery, and verifies the callback's signature.
//!
//! Set `FETCH_HIVE_API_KEY` and `FETCH_HIVE_DEPLOYMENT` to run a deployment of yours. The service
//! cannot call this machine, so callback delivery also needs a public URL in
//! `FETCH_HIVE_CALLBACK_URL`. Without a key, the example starts an emulator in this process.

use std::env;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::core::signature::verify;
use fetch_hive_client::types::{InvokeWorkflowResponse, RunStatus};
use fetch_hive_emulator::{CallbackReceiver, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let deployment = env::var("FETCH_HIVE_DEPLOYMENT").unwrap_or_else(|_| "weekly-report".to_owned());
    if env::var_os(fetch_hive_client::API_KEY_VARIABLE).is_some() {
        let client = Client::from_env()?;
        println!("FETCH_HIVE_API_KEY is set: using the service");
        direct(&client, &deployment).await?;
        let Ok(url) = env::var("FETCH_HIVE_CALLBACK_URL") else {
            println!("callback: skipped, because FETCH_HIVE_CALLBACK_URL is not set");
            return Ok(());
        };
        return print_run("accepted", &*client.invoke_workflow(deployment).callback_url(url).await?);
    }

    let emulator = Emulator::start().await?;
    println!("FETCH_HIVE_API_KEY is not set: using an emulator at {}", emulator.base_url());
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;
    direct(&client, &deployment).await?;
    callback(&client, &deployment).await
}

async fn direct(client: &Client, deployment: &str) -> Result<(), Box<dyn Error>> {
    let run = client
        .invoke_workflow(deployment)
        .variant("default")
        .input("topic", "enterprise AI")
        .timeout(Duration::from_secs(600))
        .await?;
    print_run("direct", &run)
}

async fn callback(client: &Client, deployment: &str) -> Result<(), Box<dyn Error>> {
    let mut inbox = CallbackReceiver::start().await?;
    let run = client
        .invoke_workflow(deployment)
        .variant("default")
        .input("topic", "enterprise AI")
        .callback_url(inbox.url())
        .await?;
    print_run("accepted", &run)?;

    let secret = run.webhook_secret.as_ref().ok_or("the response has no webhook secret")?;
    let delivery = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await?.ok_or("the inbox is closed")?;
    // The body must not be parsed before its signature is verified.
    verify([secret], delivery.headers(), delivery.body())?;
    println!("callback: signature verified, {} bytes", delivery.body().len());
    println!("{}", String::from_utf8_lossy(delivery.body()));
    Ok(())
}

fn print_run(title: &str, run: &InvokeWorkflowResponse) -> Result<(), Box<dyn Error>> {
    let status = run.run_status.as_ref().map_or("unknown", RunStatus::as_str);
    let id = run.request_id.as_ref().map_or("none", |id| id.as_str());
    println!("{title}: status {status}, request id {id}");
    if run.run_status == Some(RunStatus::Completed) {
        println!("{title}: output {}", run.output_as::<String>()?);
    }
    Ok(())
}
