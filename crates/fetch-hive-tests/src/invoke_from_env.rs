//! Runs a workflow at a base URL, with the API key of the environment.

use fetch_hive_client::{Client, Error};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{error:?}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let client = Client::builder().base_url(std::env::args().nth(1).unwrap_or_default()).build()?;
    client.invoke_workflow("d").await.map(drop)
}
