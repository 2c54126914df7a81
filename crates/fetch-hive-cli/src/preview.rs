//! Shows a request instead of sending it.

use std::fmt::Write as _;

use fetch_hive_client::core::{Api, BodyPiece, RequestBody};
use fetch_hive_client::types::ApiKey;
use fetch_hive_client::{API_KEY_VARIABLE, BaseUrl, Endpoint};

use crate::context::{Context, USER_AGENT};
use crate::failure::{Failure, Result};
use crate::json;
use crate::keys::KeySource;
use crate::options::PreviewArgs;

/// A key that is never sent.
const NO_KEY: &str = "fhk_preview";

impl PreviewArgs {
    /// Prints the request if one of the options is set. Returns whether it was printed.
    pub(crate) async fn show<E: Endpoint>(&self, context: &Context, endpoint: &E) -> Result<bool> {
        self.show_with(context, endpoint, "SECRET").await
    }

    /// Prints the request like [`show`](Self::show), with the variable of the webhook secret.
    pub(crate) async fn show_with<E: Endpoint>(&self, context: &Context, endpoint: &E, secret: &str) -> Result<bool> {
        if !self.dry_run && !self.curl {
            return Ok(false);
        }
        let key = self.key(context)?;
        let request = api(context).await?.request(endpoint, Some(&key)).map_err(fetch_hive_client::Error::from)?;
        self.print(context, &request, secret)?;
        Ok(true)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.dry_run || self.curl
    }

    /// Returns the key that the request shows: the real one only with `--show-secrets`.
    pub(crate) fn key(&self, context: &Context) -> Result<ApiKey> {
        if self.curl && context.out.show_secrets() {
            return context.key_source()?.read();
        }
        ApiKey::new(NO_KEY).map_err(|error| Failure::other(error.to_string()))
    }

    pub(crate) fn print(&self, context: &Context, request: &http::Request<RequestBody>, secret: &str) -> Result<()> {
        let key = match context.key_source() {
            Ok(KeySource::Variable(name)) => name,
            _ => API_KEY_VARIABLE.to_owned(),
        };
        let hidden = (!context.out.show_secrets()).then(|| Hidden { key, secret: secret.to_owned() });
        let text = if self.curl { curl(request, hidden.as_ref()) } else { dry_run(request, hidden.as_ref()) };
        context.out.text(&text)?;
        context.out.note("nothing was sent");
        Ok(())
    }
}

/// The environment variables that are shown instead of secrets.
struct Hidden {
    key: String,
    secret: String,
}

/// Returns the builder of requests for the base URL in use.
pub(crate) async fn api(context: &Context) -> Result<Api> {
    let base_url = match context.base_url().await? {
        Some(url) => BaseUrl::new(&url).map_err(fetch_hive_client::Error::from)?,
        None => BaseUrl::default(),
    };
    let api = Api::new(base_url).user_agent_suffix(USER_AGENT).map_err(fetch_hive_client::Error::from)?;
    Ok(api)
}

fn dry_run(request: &http::Request<RequestBody>, hidden: Option<&Hidden>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value, _) in headers(request, hidden) {
        let _ = writeln!(text, "{name}: {value}");
    }
    let body = body(request);
    if !body.is_empty() {
        text.push('\n');
        text += &json::pretty(body.as_bytes(), hidden.is_none()).unwrap_or(body);
    }
    text
}

fn curl(request: &http::Request<RequestBody>, hidden: Option<&Hidden>) -> String {
    let mut text = format!("curl -X {} {}", request.method(), quote(&request.uri().to_string()));
    for (name, value, has_variable) in headers(request, hidden) {
        let header = format!("{name}: {value}");
        if has_variable {
            let _ = write!(text, " \\\n  -H \"{header}\"");
        } else {
            let _ = write!(text, " \\\n  -H {}", quote(&header));
        }
    }
    let body = body(request);
    if !body.is_empty() {
        let body = json::compact(body.as_bytes(), hidden.is_none()).unwrap_or(body);
        let _ = write!(text, " \\\n  --data-binary {}", quote(&body));
    }
    text
}

/// Returns the headers, and whether each names a variable instead of a secret.
fn headers(request: &http::Request<RequestBody>, hidden: Option<&Hidden>) -> Vec<(String, String, bool)> {
    let shown = |(name, value): (&http::HeaderName, &http::HeaderValue)| match (hidden, name.as_str()) {
        (Some(Hidden { key, .. }), "authorization") => (name.to_string(), format!("Bearer ${key}"), true),
        (Some(Hidden { secret, .. }), "x-fetch-hive-webhook-secret") => (name.to_string(), format!("${secret}"), true),
        _ => (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned(), false),
    };
    request.headers().iter().map(shown).collect()
}

fn body(request: &http::Request<RequestBody>) -> String {
    let (pieces, _) = request.body().clone().into_pieces();
    let text = pieces.iter().map(|piece| match piece {
        BodyPiece::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        BodyPiece::File(file) => format!("[{} bytes of {}]", file.len, file.path.display()),
    });
    text.collect()
}

/// Quotes a word for a POSIX shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fetch_hive_client::types::{InvokeWorkflow, TriggerWorkflow};

    #[test]
    fn previews_hide_the_key_and_secrets() {
        let api = Api::default();
        let key = ApiKey::new("fhk_real_key_1234").unwrap();
        let run = api.request(&InvokeWorkflow::new("it's").input("topic", "AI"), Some(&key)).unwrap();
        let trigger = TriggerWorkflow::new("e", "v", "whsec_real", "https://example.com/cb");
        let trigger = api.request(&trigger, None).unwrap();
        let hidden = Hidden { key: "MYKEY".to_owned(), secret: "WS".to_owned() };
        for request in [&run, &trigger] {
            for text in [curl(request, Some(&hidden)), dry_run(request, Some(&hidden))] {
                assert!(!text.contains("fhk_real") && !text.contains("whsec_real"), "{text}");
            }
        }
        assert!(curl(&run, None).contains("Bearer fhk_real_key_1234"));
        let shown = curl(&run, Some(&hidden));
        assert!(shown.contains("-H \"authorization: Bearer $MYKEY\""), "{shown}");
        let triggered = curl(&trigger, Some(&hidden));
        assert!(triggered.contains("-H \"x-fetch-hive-webhook-secret: $WS\""), "{triggered}");
        assert!(shown.contains(r#"--data-binary '{"deployment":"it'\''s","inputs":{"topic":"AI"}}'"#), "{shown}");
    }
}
