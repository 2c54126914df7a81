//! A reply that is lost on the way: what the error says, and how a run is started so that nothing of it can be lost.
//!
//! It talks to an emulator in this process, which closes the connection after it has done the first run.

use std::error::Error;
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::core::signature::verify;
use fetch_hive_client::types::CallbackEvent;
use fetch_hive_emulator::{CallbackReceiver, Emulator, Fault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let lost = Fault::close().operation("invokeWorkflow").nth(1).after_run();
    let emulator = Emulator::builder().fault(lost).start().await?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;

    // A direct run. The service did it, and charges it; nobody can look it up.
    let Err(error) = client.invoke_workflow("weekly-report").await else { return Err("the reply was not lost".into()) };
    println!("direct: {error}");
    println!("direct: may have run: {}, sent {} time(s)", error.may_have_run(), error.attempts());

    // With callback delivery the outcome comes by itself, with an id of ours: `order_id` tells which order it is of.
    let mut inbox = CallbackReceiver::start().await?;
    let call = client.invoke_workflow("weekly-report").metadata("order_id", "o_42").callback_url(inbox.url());
    let run = call.await?;
    let secret = run.webhook_secret.as_ref().ok_or("the reply holds no webhook secret")?;
    let delivery = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await?.ok_or("the inbox is closed")?;
    verify([secret], delivery.headers(), delivery.body())?;
    let event: CallbackEvent = serde_json::from_slice(delivery.body())?;
    println!("callback: {}", event.output_as::<String>()?);

    // If the callback is lost too: the id of the run is enough.
    let record = client.requests().get(run.request_id.clone().ok_or("the reply names no run")?).await?;
    println!("looked up: {}", record.status.as_ref().map_or("unknown", |status| status.as_str()));
    Ok(())
}
