//! Receives callbacks in a serverless handler: a function from a request, body and all, to a response. What stands for the platform here is
//! a loop that gives it what an emulator posts.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::callback::{Received, Receiver, Verifier};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// The function that is deployed. It keeps nothing between two calls, so a guard would have to be in a store of yours.
async fn function(request: http::Request<Bytes>) -> http::Response<String> {
    let secret = std::env::var("FETCH_HIVE_WEBHOOK_SECRET").unwrap_or_else(|_| "whsec_example".to_owned());
    let receiver = Receiver::new(Verifier::new([secret]));
    receiver.receive_bytes(request, |event| async move { handle(&event) }).await
}

/// What your program does with an event. An error has it delivered again.
fn handle(event: &Received) -> Result<(), BoxError> {
    println!("handled: {}", event.output_as::<String>()?);
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

/// Reads each request as a whole and calls the function.
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
