//! The deployments of the emulator, which is used if there is no API key.

use std::time::Duration;

use fetch_hive_emulator::{Deployment, Emulator, Script, StartError};
use serde_json::json;

/// Starts an emulator with the deployments that the page suggests.
pub(crate) async fn emulator() -> Result<Emulator, StartError> {
    Emulator::builder()
        .page(true)
        .deployment(Deployment::workflow("weekly-report").output("Three things are new in AI this week.").delay_ms(400))
        .deployment(Deployment::workflow("slow-report").output("Done.").delay_ms(30_000))
        .deployment(Deployment::workflow("broken-report").failure("the model refused"))
        .stream("researcher", researcher())
        .stream("unreliable", Script::new().text("Three things are new. First, ").disconnect())
        .start()
        .await
}

fn researcher() -> Script {
    let pause = Duration::from_millis(250);
    let mut script = Script::new()
        .wait(pause)
        .event(&json!({"type": "reasoning", "response": "The question is about this week, so I search the news."}))
        .wait(pause)
        .event(&json!({"type": "tool", "tool_id": "1", "tool": "google_search", "tool_input": {"query": "AI news"},
            "observation": "{\"results\": 3}"}))
        .wait(pause)
        .event(&json!({"type": "tool", "tool_id": "2", "tool": "read_page",
            "tool_input": {"url": "https://example.com/news"}, "observation": "{\"words\": 812}"}));
    let answer = "Three things are new. A model reads two million tokens at once. A phone translates calls without a \
                  network. And a court decided who owns a generated image.";
    for word in answer.split_inclusive(' ') {
        script = script.wait(Duration::from_millis(60)).text(word);
    }
    script
        .event(&json!({"type": "usage", "request_id": "req_5d1c", "status": "completed", "stop_reason": "completed",
            "usage": {"duration": 2.4, "prompt_tokens": {"total_tokens": 24}, "completion_tokens": {"total_tokens": 31},
                "total_tokens": 55}}))
        .done()
}
