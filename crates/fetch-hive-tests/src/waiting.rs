//! A process that waits for a run, to be killed by tests: `waiting start BASE_URL ADDRESS`, or, with what that prints first,
//! `waiting resume BASE_URL ADDRESS HANDLE` and `waiting look BASE_URL REQUEST_ID`. The output of the run is the last line.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use fetch_hive_client::callback::{Received, Receiver};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_tests::{Listening, Receiving};

const HANG: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(output) => {
            say(&output);
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
            let (receiver, _server) = receiving(address).await?;
            let mut started = client(base_url)?.invoke_workflow("review").input("n", 1).start(&receiver).await?;
            say(&serde_json::to_string(started.wait.handle())?);
            Ok(started.wait.event(HANG).await?.output_as()?)
        }
        ["resume", base_url, address, handle] => {
            let (receiver, _server) = receiving(address).await?;
            let mut wait = client(base_url)?.resume(&receiver, serde_json::from_str(handle)?)?;
            say("waiting");
            Ok(wait.event(HANG).await?.output_as()?)
        }
        ["look", base_url, id] => {
            let looks = client(base_url)?
                .requests()
                .wait(*id)
                .interval(Duration::from_millis(5), Duration::from_millis(50))
                .timeout(HANG);
            let mut first = Some(());
            let record = looks.on_progress(move |_| first.take().into_iter().for_each(|()| say("waiting"))).await?;
            Ok(record.to_run().output_as()?)
        }
        _ => Err("see the head of this file".into()),
    }
}

async fn receiving(address: &str) -> Result<(Receiver, Receiving), BoxError> {
    let listening = Listening::at(address.parse()?).await?;
    let receiver = Receiver::with_callback_url(listening.url());
    let none = |event: Received| async move { Err(format!("the handler ran for {event:?}").into()) };
    Ok((receiver.clone(), listening.serve(receiver, none)))
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
