//! Search of a knowledge base: BM25 over the chunks of its items.

use bm25::{Document, SearchEngineBuilder, Tokenizer};
use rust_stemmers::{Algorithm, Stemmer};
use serde_json::{Value, json};

/// How long a chunk is, in characters, where an item does not say.
const CHUNK: usize = 1000;

/// A piece of an item.
pub(crate) struct Chunk {
    item: Value,
    index: usize,
    text: String,
}

/// The chunks of an item: whole words, of the length and with the overlap that it asks for.
pub(crate) fn chunks(item: &Value, content: &str) -> Vec<Chunk> {
    let setting =
        |name: &str, otherwise| item[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(otherwise);
    let length = setting("maximum_chunk_length", CHUNK).clamp(1, 100_000);
    let overlap = setting("chunk_overlap", 0).min(length / 2);
    let of = json!({"id": item["id"], "name": item["name"], "item_type": item["item_type"]});
    let text = format!("{}\n{content}", item["name"].as_str().unwrap_or_default());
    let mut pieces: Vec<String> = vec![String::new()];
    for word in text.split_inclusive(char::is_whitespace) {
        let full = pieces.last().is_some_and(|piece| !piece.is_empty() && piece.len() + word.len() > length);
        if full {
            let tail = pieces.last().map_or("", |piece| after_words(piece, overlap)).to_owned();
            pieces.push(tail);
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(word);
        }
    }
    pieces.into_iter().enumerate().map(|(index, text)| Chunk { item: of.clone(), index, text }).collect()
}

/// The last words of a text, of so many bytes at the most.
fn after_words(text: &str, bytes: usize) -> &str {
    let from = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= bytes);
    let tail = from.map_or("", |at| &text[at..]);
    tail.split_once(char::is_whitespace).map_or("", |(_, rest)| rest)
}

/// The chunks that fit best, best first, with a score between 0 and 1.
pub(crate) fn best(chunks: &[Chunk], query: &str, limit: usize, threshold: f64) -> Vec<Value> {
    let documents = chunks.iter().enumerate().map(|(n, chunk)| Document::new(n, &chunk.text));
    let engine =
        SearchEngineBuilder::<usize, u32, Words>::with_tokenizer_and_documents(Words, documents.collect::<Vec<_>>())
            .build();
    let found = engine.search(query, limit.max(1)).into_iter().filter_map(|result| {
        // BM25 has no upper bound; this keeps its order.
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

/// Words in lower case, without their English endings.
struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        let stemmer = Stemmer::create(Algorithm::English);
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| stemmer.stem(&word.to_lowercase()).into_owned()).collect()
    }
}
