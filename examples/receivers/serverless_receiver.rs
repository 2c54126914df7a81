//! Receives callbacks in a serverless function. A loop in this process plays the platform, and the
//! emulator sends the callbacks.
//!
//! ```sh
//! cargo run --example serverless_receiver
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::callback::{Delivery, Receiver, Verifier};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// The deployed function. It keeps no state between calls, so a dedup store would need a database.
async fn function(request: http::Request<Bytes>) -> http::Response<String> {
    let secret = std::env::var("FETCH_HIVE_WEBHOOK_SECRET").unwrap_or_else(|_| "whsec_example".to_owned());
    let receiver = Receiver::new(Verifier::new([secret]));
    receiver.receive_bytes(request, |delivery| async move { handle(&delivery) }).await
}

/// Handles an event. If it returns an error, the service redelivers the event.
fn handle(delivery: &Delivery) -> Result<(), BoxError> {
    println!("handled: {}", delivery.event.output_as::<String>()?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/callbacks", listener.local_addr()?);
    tokio::spawn(platform(listener));

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("weekly-report").webhook_secret("whsec_example"))
        .fault(Fault::callback_corrupt().first_attempts(1))
        .start()
        .await?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;
    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").callback_url(url).await?;
    while emulator.deliveries().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for delivery in emulator.deliveries() {
        println!("delivery {}: {:?}", delivery.attempt, delivery.outcome);
    }
    Ok(())
}

/// Reads each request and its body, and calls the function.
async fn platform(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(|request: http::Request<hyper::body::Incoming>| async {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Ok::<_, Infallible>(function(http::Request::from_parts(parts, body)).await)
        });
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
