//! Masking of keys and secrets in text that is logged or shown.

pub(crate) const MASK: &str = "••••••";

/// Returns the text with every API key and webhook secret masked.
///
/// A secret starts after one of the known markers and ends at a quote, a separator or a space.
pub(crate) fn masked(text: &str) -> String {
    let mut rest = text;
    let mut masked = String::with_capacity(text.len());
    let markers = ["fhk_", "whsec_", "\"webhook_secret\":\"", "\"webhook_secret\": \"", "secret="];
    while let Some((at, marker)) =
        markers.iter().filter_map(|marker| rest.find(marker).map(|at| (at, *marker))).min_by_key(|(at, _)| *at)
    {
        let (before, after) = rest.split_at(at + marker.len());
        masked.push_str(before);
        masked.push_str(MASK);
        let ends = |c: char| matches!(c, '"' | '&' | '\'' | '\\' | '<' | ',') || c.is_whitespace();
        rest = &after[after.find(ends).unwrap_or(after.len())..];
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_secrets_are_masked_everywhere() {
        for (text, expected) in [
            ("Bearer fhk_abc def", "Bearer fhk_•••••• def"),
            ("{\"webhook_secret\":\"s3cret!\",\"a\":1}", "{\"webhook_secret\":\"••••••\",\"a\":1}"),
            ("{\"x\":\"whsec_1\",\"y\":\"fhk_2\"}", "{\"x\":\"whsec_••••••\",\"y\":\"fhk_••••••\"}"),
            ("/v1/agent/webhooks/a?secret=abc&b=1", "/v1/agent/webhooks/a?secret=••••••&b=1"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
