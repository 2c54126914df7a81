//! Waits for a run in a process that tests can kill.
//!
//! ```text
//! wait-for-run start BASE_URL ADDRESS
//! wait-for-run resume BASE_URL ADDRESS RESUME_TOKEN
//! wait-for-run poll BASE_URL REQUEST_ID
//! ```
//!
//! The first line of the output is a resume token (`start`) or `waiting`. The last line is the
//! output of the run.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use fetch_hive_client::callback::{Delivery, Receiver};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_tests::{CallbackListener, CallbackServer};

const HANG: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(output) => {
            print_line(&output);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<String, BoxError> {
    let client = |base_url: &str| Client::builder().api_key("fhk_test").base_url(base_url).build();
    match arguments {
        ["start", base_url, address] => {
            let (receiver, _server) = start_receiver(address).await?;
            let mut started = client(base_url)?.invoke_workflow("review").input("n", 1).start(&receiver).await?;
            print_line(&serde_json::to_string(started.pending.resume_token())?);
            Ok(started.pending.timeout(HANG).event().await?.event.output_as()?)
        }
        ["resume", base_url, address, token] => {
            let (receiver, _server) = start_receiver(address).await?;
            let mut pending = client(base_url)?.resume(&receiver, serde_json::from_str(token)?).await?;
            print_line("waiting");
            Ok(pending.timeout(HANG).event().await?.event.output_as()?)
        }
        ["poll", base_url, id] => {
            let poll = client(base_url)?
                .requests()
                .wait(*id)
                .interval(Duration::from_millis(5), Duration::from_millis(50))
                .timeout(HANG);
            let mut first = Some(());
            let record =
                poll.on_progress(move |_| first.take().into_iter().for_each(|()| print_line("waiting"))).await?;
            Ok(record.to_run().output_as()?)
        }
        _ => Err("usage: wait-for-run start|resume|poll BASE_URL ...".into()),
    }
}

async fn start_receiver(address: &str) -> Result<(Receiver, CallbackServer), BoxError> {
    let listener = CallbackListener::bind(address.parse()?).await?;
    let receiver = Receiver::with_callback_url(listener.url());
    let reject = |delivery: Delivery| async move { Err(format!("the handler ran for {delivery:?}").into()) };
    Ok((receiver.clone(), listener.serve(receiver, reject)))
}

fn print_line(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
