//! `fetch-hive api`.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use fetch_hive_client::Retry;
use fetch_hive_client::core::KeyHeader;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::options::PreviewArgs;
use crate::preview::api;
use crate::run::recorded;

const EXAMPLES: &str = "\
Examples:
  fetch-hive api GET /public/models --jq '.[].slug'
  fetch-hive api POST /workflow/invoke -f deployment=weekly-report -f inputs:='{\"topic\":\"AI\"}'
  fetch-hive api POST /workflow/invoke --input body.json --dry-run
  fetch-hive api POST /workflow/invoke --input body.json --curl";

/// Send a request to any path of the API
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Api {
    /// The HTTP method
    method: Method,
    /// The path below the base URL, with its query
    path: String,
    /// A file with the body, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "field")]
    input: Option<PathBuf>,
    /// A field of a JSON body: NAME=TEXT, NAME:=JSON, NAME=@FILE or NAME:=@FILE.json
    #[arg(short = 'f', long = "field", value_name = "NAME=VALUE")]
    field: Vec<String>,
    /// A header of the request
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    #[command(flatten)]
    preview: PreviewArgs,
}

impl Api {
    fn request(&self) -> Result<http::Request<Bytes>> {
        let body = match &self.input {
            Some(path) => inputs::read_bytes(path)?,
            None if self.field.is_empty() => Vec::new(),
            None => {
                let fields = inputs::pairs("--field", &self.field)?;
                serde_json::to_vec(&fields).map_err(|error| Failure::usage(error.to_string()))?
            }
        };
        let mut request = http::Request::builder().method(self.method.clone()).uri(&self.path);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(Bytes::from(body)).map_err(|error| {
            Failure::usage(format!("`{}` is not a path: {error}", self.path)).next("use a path such as /public/models")
        })?;
        for header in &self.header {
            let (name, value) = parse_header(header)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

fn parse_header(header: &str) -> Result<(HeaderName, HeaderValue)> {
    let invalid = || Failure::usage("--header is not `NAME: VALUE`").next("write a header such as `-H 'x-trace: 1'`");
    let (name, value) = header.split_once(':').ok_or_else(invalid)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| invalid())?;
    if name == http::header::AUTHORIZATION {
        return Err(Failure::usage("a key is never an argument, so `authorization` cannot be set")
            .next("use FETCH_HIVE_API_KEY, `--key-env` or a profile"));
    }
    let value = HeaderValue::try_from(value.trim()).map_err(|_| invalid())?;
    Ok((name, value))
}

pub(crate) async fn execute(command: Api, context: &Context) -> Result<()> {
    let request = command.request()?;
    if command.preview.is_set() {
        let invalid = |error| Failure::from(fetch_hive_client::Error::from(error));
        let key = KeyHeader::new(&command.preview.key(context)?).map_err(invalid)?;
        let request = api(context).await?.complete(request, Some(&key)).map_err(invalid)?;
        return command.preview.print(context, &request, "SECRET");
    }
    let is_read = matches!(command.method, Method::GET | Method::HEAD);
    if is_read {
        let response = context.client().await?.call_raw(request, Retry::Idempotent).await?;
        return context.out.json(response.body());
    }
    let target = format!("{} {}", command.method, crate::redact::url(&command.path));
    recorded(context, "api", Some(&target), async |info| {
        let call = context.client().await?.call_raw(request, Retry::OnlyIfNotSent).timeout(context.run_timeout());
        let response = call.await?;
        let body = serde_json::from_slice::<serde_json::Value>(response.body()).unwrap_or_default();
        info.set_id(body.get("request_id").and_then(serde_json::Value::as_str));
        context.out.json(response.body())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_cannot_be_passed_as_a_header() {
        let failure = parse_header("Authorization: Bearer fhk_1").unwrap_err();
        assert!(failure.text.contains("never an argument") && !failure.text.contains("fhk_1"), "{failure}");
        assert_eq!(parse_header("x-trace: 1").unwrap().1, "1");
        assert!(parse_header("x-trace").is_err());
    }
}
