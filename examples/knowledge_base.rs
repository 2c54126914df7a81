//! Creates a knowledge base, adds two items, searches it and deletes it.
//!
//! Set `FETCH_HIVE_API_KEY` and `FETCH_HIVE_WORKSPACE` to use a workspace of yours. Without a key,
//! the example starts an emulator in this process.

use std::env;
use std::error::Error;
use std::time::Duration;

use fetch_hive_client::types::{
    ItemType, KnowledgeBaseCreate, KnowledgeBaseItemCreate, KnowledgeBaseSearch, SearchType,
};
use fetch_hive_client::{API_KEY_VARIABLE, Client};
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let id = env::var("FETCH_HIVE_WORKSPACE").unwrap_or_else(|_| DEFAULT_WORKSPACE.to_owned());
    let emulator = Emulator::start().await?;
    let client = match env::var_os(API_KEY_VARIABLE) {
        Some(_) => Client::from_env()?,
        None => Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?,
    };
    let workspace = client.workspace(id);

    let created = workspace.knowledge_bases().create(KnowledgeBaseCreate::new("Birds")).await?.into_value();
    let base = created.knowledge_base.and_then(|base| base.id).ok_or("the response has no knowledge base id")?;
    let items = workspace.knowledge_base(base.clone()).items();
    for (name, text) in [("Heron", "The heron eats fish and frogs."), ("Swift", "The swift sleeps while it flies.")] {
        let item = KnowledgeBaseItemCreate::new(name).item_type(ItemType::Custom).data_content(text);
        let created = items.create(item).await?.into_value();
        let id = created.knowledge_base_item.and_then(|item| item.id).ok_or("the response has no item id")?;
        // The service indexes an item in the background.
        while items.get(id.clone()).await?.run_status.as_deref() == Some("pending") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("indexed: {name}");
    }

    let search = KnowledgeBaseSearch::new("frogs", SearchType::FullText, 3, 0.0);
    let found = workspace.knowledge_base(base.clone()).search(search).await?;
    println!("found: {}", serde_json::to_string(&found.response)?);
    workspace.knowledge_bases().delete(base).await?;
    Ok(())
}
