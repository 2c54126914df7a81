//! Receives callbacks with a plain hyper service. The emulator in this process sends them.
//!
//! ```sh
//! cargo run --example hyper_receiver
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::callback::{Delivery, MemoryDedupStore, Receiver, Verifier};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/callbacks", listener.local_addr()?);

    // A dedup store in memory is sufficient for a single process.
    let receiver = Receiver::new(Verifier::new(["whsec_example"]))
        .dedup(MemoryDedupStore::new())
        .on_delivery(|report| println!("callback {}", report.outcome));
    let (sender, mut outputs) = mpsc::unbounded_channel();
    tokio::spawn(serve(listener, receiver, sender));

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("weekly-report").webhook_secret("whsec_example"))
        .fault(Fault::callback_redeliver(1))
        .fault(Fault::callback_bad_signature().first_attempts(1))
        .start()
        .await?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;
    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").callback_url(url).await?;
    println!("handled: {}", outputs.recv().await.ok_or("the receiver stopped")?);
    // One delivery is rejected, one is handled and one is a redelivery.
    while emulator.deliveries().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn serve(listener: TcpListener, receiver: Receiver, sender: mpsc::UnboundedSender<String>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (receiver, sender) = (receiver.clone(), sender.clone());
        let service = service_fn(move |request| {
            let (receiver, sender) = (receiver.clone(), sender.clone());
            async move {
                // hyper accepts the `http::Response<String>` directly.
                let response = receiver.receive(request, |delivery| async move { handle(&delivery, &sender) }).await;
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Handles an event. If it returns an error, the service redelivers the event.
fn handle(delivery: &Delivery, sender: &mpsc::UnboundedSender<String>) -> Result<(), BoxError> {
    sender.send(delivery.event.output_as::<String>()?)?;
    Ok(())
}
