//! Receives callbacks with a bare hyper service, and runs against an emulator in this process.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::callback::{MemoryDedupStore, Received, Receiver, Verifier};
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

    // One process, so the guard may live in its memory.
    let receiver = Receiver::new(Verifier::new(["whsec_example"]))
        .guard(MemoryDedupStore::new())
        .on_outcome(|outcome| println!("callback {outcome}"));
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(serve(listener, receiver, tell));

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("weekly-report").webhook_secret("whsec_example"))
        .fault(Fault::callback_redeliver(1))
        .fault(Fault::callback_bad_signature().first_attempts(1))
        .start()
        .await?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;
    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").callback_url(url).await?;
    println!("handled: {}", told.recv().await.ok_or("the receiver is gone")?);
    // Refused, taken, and repeated.
    while emulator.deliveries().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn serve(listener: TcpListener, receiver: Receiver, tell: mpsc::UnboundedSender<String>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (receiver, tell) = (receiver.clone(), tell.clone());
        let service = service_fn(move |request| {
            let (receiver, tell) = (receiver.clone(), tell.clone());
            async move {
                // The answer is an http::Response<String>, which hyper takes as it is.
                let response = receiver.receive(request, |event| async move { handle(&event, &tell) }).await;
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What your program does with an event. An error has it delivered again.
fn handle(event: &Received, tell: &mpsc::UnboundedSender<String>) -> Result<(), BoxError> {
    tell.send(event.output_as::<String>()?)?;
    Ok(())
}
