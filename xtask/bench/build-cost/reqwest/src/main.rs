//! Runs a workflow and prints its output, with reqwest.

#[derive(serde::Deserialize)]
struct Run {
    output: serde_json::Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::var("FETCH_HIVE_API_KEY")?;
    let request = serde_json::json!({ "deployment": "weekly-report", "inputs": { "topic": "enterprise AI" } });
    let url = "https://api.fetchhive.com/v1/workflow/invoke";
    let response = reqwest::Client::new().post(url).bearer_auth(key).json(&request).send().await?;
    let run: Run = response.error_for_status()?.json().await?;
    println!("{}", run.output);
    Ok(())
}
