//! A text search in the chunks of knowledge base items, ranked with BM25.

use bm25::{Document, SearchEngineBuilder, Tokenizer};
use rust_stemmers::{Algorithm, Stemmer};
use serde_json::{Value, json};

/// The default length of a chunk, in bytes.
const DEFAULT_CHUNK_LENGTH: usize = 1000;

/// A part of an item's text.
pub(crate) struct Chunk {
    item: Value,
    index: usize,
    text: String,
}

/// Splits an item into chunks of whole words, with the length and overlap of its settings.
pub(crate) fn chunks(item: &Value, content: &str) -> Vec<Chunk> {
    let setting = |name: &str, default| item[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    let length = setting("maximum_chunk_length", DEFAULT_CHUNK_LENGTH).clamp(1, 100_000);
    let overlap = setting("chunk_overlap", 0).min(length / 2);
    let item = json!({"id": item["id"], "name": item["name"], "item_type": item["item_type"]});
    let text = format!("{}\n{content}", item["name"].as_str().unwrap_or_default());
    let mut parts: Vec<String> = vec![String::new()];
    for word in text.split_inclusive(char::is_whitespace) {
        let full = parts.last().is_some_and(|part| !part.is_empty() && part.len() + word.len() > length);
        if full {
            let tail = parts.last().map_or("", |part| last_words(part, overlap)).to_owned();
            parts.push(tail);
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(word);
        }
    }
    parts.into_iter().enumerate().map(|(index, text)| Chunk { item: item.clone(), index, text }).collect()
}

/// Returns the last words of a text, in at most this many bytes.
fn last_words(text: &str, bytes: usize) -> &str {
    let from = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= bytes);
    let tail = from.map_or("", |at| &text[at..]);
    tail.split_once(char::is_whitespace).map_or("", |(_, rest)| rest)
}

/// Returns the best chunks for a query, best first, with scores between 0 and 1.
pub(crate) fn best_chunks(chunks: &[Chunk], query: &str, limit: usize, threshold: f64) -> Vec<Value> {
    let documents = chunks.iter().enumerate().map(|(n, chunk)| Document::new(n, &chunk.text));
    let engine = SearchEngineBuilder::<usize, u32, StemmedWords>::with_tokenizer_and_documents(
        StemmedWords,
        documents.collect::<Vec<_>>(),
    )
    .build();
    let found = engine.search(query, limit.max(1)).into_iter().filter_map(|result| {
        // BM25 scores have no upper limit. This mapping keeps their order.
        let score = f64::from(result.score) / (1.0 + f64::from(result.score));
        let chunk = chunks.get(result.document.id).filter(|_| score > threshold)?;
        Some(json!({
            "knowledge_base_item_id": chunk.item["id"],
            "knowledge_base_item_name": chunk.item["name"],
            "item_type": chunk.item["item_type"],
            "chunk_index": chunk.index,
            "content": chunk.text.trim(),
            "score": score,
        }))
    });
    found.collect()
}

/// A tokenizer that lowercases and stems English words.
struct StemmedWords;

impl Tokenizer for StemmedWords {
    fn tokenize(&self, text: &str) -> Vec<String> {
        let stemmer = Stemmer::create(Algorithm::English);
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| stemmer.stem(&word.to_lowercase()).into_owned()).collect()
    }
}
