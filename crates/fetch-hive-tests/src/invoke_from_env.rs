//! Runs a workflow at a base URL, with the API key, the proxies and the certificates of the
//! environment. The second argument `ureq` selects the blocking client.

use fetch_hive_client::{Client, Error, blocking};

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
    let mut arguments = std::env::args().skip(1);
    let base_url = arguments.next().unwrap_or_default();
    if arguments.next().as_deref() == Some("ureq") {
        let call = || blocking::Client::builder().base_url(base_url).build()?.invoke_workflow("d").send().map(drop);
        return tokio::task::block_in_place(call);
    }
    Client::builder().base_url(base_url).build()?.invoke_workflow("d").await.map(drop)
}
