//! Prints the description of a repository with octocrab, a client of another service.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = octocrab::Octocrab::builder().personal_token(std::env::var("GITHUB_TOKEN")?).build()?;
    let repository = client.repos("rust-lang", "rust").get().await?;
    println!("{:?}", repository.description);
    Ok(())
}
