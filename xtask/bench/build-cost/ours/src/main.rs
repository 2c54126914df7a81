//! Runs a workflow and prints its output, with fetch-hive-client.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = fetch_hive_client::Client::from_env()?;
    let run = client.invoke_workflow("weekly-report").input("topic", "enterprise AI").await?;
    println!("{}", run.into_output()?);
    Ok(())
}
