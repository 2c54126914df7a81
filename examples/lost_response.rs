//! Handles a lost response, and shows how callback delivery avoids the loss of a result.
//!
//! The example starts an emulator in this process. It closes the connection after the first run
//! instead of sending the response.

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

    // The service has done the direct run and charges for it, but its id is in the lost response.
    let Err(error) = client.invoke_workflow("weekly-report").await else {
        return Err("the response was not lost".into());
    };
    println!("direct: {error}");
    println!("direct: may have run: {}, sent {} time(s)", error.may_have_run(), error.attempts());

    // With callback delivery, the result arrives in a separate request. The metadata identifies the
    // order.
    let mut inbox = CallbackReceiver::start().await?;
    let call = client.invoke_workflow("weekly-report").metadata("order_id", "o_42").callback_url(inbox.url());
    let run = call.await?;
    let secret = run.webhook_secret.as_ref().ok_or("the response has no webhook secret")?;
    let delivery = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await?.ok_or("the inbox is closed")?;
    verify([secret], delivery.headers(), delivery.body())?;
    let event: CallbackEvent = serde_json::from_slice(delivery.body())?;
    println!("callback: {}", event.output_as::<String>()?);

    // If the callback is lost too, the request id is enough to look up the run.
    let record = client.requests().get(run.request_id.clone().ok_or("the response has no request id")?).await?;
    println!("looked up: {}", record.status.as_ref().map_or("unknown", |status| status.as_str()));
    Ok(())
}
