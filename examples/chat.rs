//! Sends each line from the terminal to an agent and streams the response. An empty line exits.
//!
//! Set `FETCH_HIVE_API_KEY` and `FETCH_HIVE_AGENT` to chat with an agent of yours. Without a key,
//! the example starts an emulator in this process.

use std::env;
use std::error::Error;
use std::io::{BufRead, Write};

use fetch_hive_client::{API_KEY_VARIABLE, Client};
use fetch_hive_emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = env::var("FETCH_HIVE_AGENT").unwrap_or_else(|_| "assistant".to_owned());
    let emulator = Emulator::start().await?;
    let client = match env::var_os(API_KEY_VARIABLE) {
        Some(_) => Client::from_env()?,
        None => Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?,
    };
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            break;
        }
        // The service stores the conversation of a thread, so only the new message is sent.
        let mut text = client.invoke_agent(agent.as_str(), line).thread_id("terminal").stream().await?.text();
        while let Some(chunk) = text.next().await {
            write!(out, "{}", chunk?)?;
            out.flush()?;
        }
        writeln!(out)?;
    }
    Ok(())
}
