//! Runs a workflow directly, then with callback delivery, and checks the signature of the callback.
//!
//! Without `FETCH_HIVE_API_KEY` it talks to an emulator in this process. With it, to the service: then set
//! `FETCH_HIVE_DEPLOYMENT` to a deployment of yours. The service cannot deliver to this machine, so the second part needs
//! `FETCH_HIVE_CALLBACK_URL`, a public URL; its signature is checked where it leads.

use std::env;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::core::signature::verify;
use fetch_hive_client::types::{InvokeWorkflowResponse, RunStatus};
use fetch_hive_emulator::{Emulator, Inbox};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let deployment = env::var("FETCH_HIVE_DEPLOYMENT").unwrap_or_else(|_| "weekly-report".to_owned());
    if env::var_os(fetch_hive_client::API_KEY_VARIABLE).is_some() {
        let client = Client::from_env()?;
        println!("FETCH_HIVE_API_KEY is set: talking to the service");
        direct(&client, &deployment).await?;
        let Ok(url) = env::var("FETCH_HIVE_CALLBACK_URL") else {
            println!("callback: left out, as FETCH_HIVE_CALLBACK_URL is not set");
            return Ok(());
        };
        return print_run("accepted", &*client.invoke_workflow(deployment).callback_url(url).await?);
    }

    let emulator = Emulator::start().await?;
    println!("FETCH_HIVE_API_KEY is not set: talking to an emulator at {}", emulator.base_url());
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
    let mut inbox = Inbox::start().await?;
    let run = client
        .invoke_workflow(deployment)
        .variant("default")
        .input("topic", "enterprise AI")
        .callback_url(inbox.url())
        .await?;
    print_run("accepted", &run)?;

    let secret = run.webhook_secret.as_ref().ok_or("the reply holds no webhook secret")?;
    let delivery = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await?.ok_or("the inbox is closed")?;
    // Nothing of the body is looked at before its signature holds.
    verify([secret], delivery.headers(), delivery.body())?;
    println!("callback: signature verified, {} bytes", delivery.body().len());
    println!("{}", String::from_utf8_lossy(delivery.body()));
    Ok(())
}

fn print_run(what: &str, run: &InvokeWorkflowResponse) -> Result<(), Box<dyn Error>> {
    let status = run.run_status.as_ref().map_or("unknown", RunStatus::as_str);
    let id = run.request_id.as_ref().map_or("none", |id| id.as_str());
    println!("{what}: status {status}, request id {id}");
    if run.run_status == Some(RunStatus::Completed) {
        println!("{what}: output {}", run.output_as::<String>()?);
    }
    Ok(())
}
