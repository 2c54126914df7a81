//! What the commands for resources share.

use std::path::PathBuf;

use clap::Args;
use fetch_hive_client::Endpoint;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::options::PreviewArgs;
use crate::table::Shape;
use crate::terminal::confirm;

/// The fields of a resource that is created or changed.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// A field: NAME=TEXT, NAME:=JSON, NAME=@FILE or NAME:=@FILE.json
    #[arg(short = 'f', long = "field", value_name = "NAME=VALUE")]
    field: Vec<String>,
    /// A file with a JSON object of fields, or - for standard input; --field overrides it
    #[arg(long = "fields", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) preview: PreviewArgs,
}

impl Fields {
    /// Reads the fields as a type of the client, which also keeps fields that it does not know.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let mut values = match &self.file {
            Some(path) => inputs::object_file("--fields", path)?,
            None => inputs::Values::new(),
        };
        values.extend(inputs::pairs("--field", &self.field)?);
        if values.is_empty() {
            return Err(Failure::usage("no fields").next("set them with `-f NAME=VALUE` or `--fields FILE`"));
        }
        let mut object = Map::new();
        for (name, value) in values {
            let value = serde_json::from_str(value.get()).map_err(|error| Failure::usage(error.to_string()))?;
            object.insert(name, value);
        }
        serde_json::from_value(Value::Object(object)).map_err(|error| {
            Failure::usage(format!("the fields are invalid: {error}"))
                .next("set text with `-f NAME=TEXT`, and numbers and other JSON with `-f NAME:=JSON`")
        })
    }
}

/// Sends a request and prints the response.
pub(crate) async fn call<E: Endpoint + 'static>(context: &Context, request: E, shape: Shape) -> Result<()> {
    let response = context.client().await?.call(request).await?;
    context.out.response(shape, response.body())
}

/// Sends a request that changes something, or shows it.
pub(crate) async fn change<E: Endpoint + 'static>(
    context: &Context,
    request: E,
    shape: Shape,
    preview: &PreviewArgs,
) -> Result<()> {
    if preview.show(context, &request).await? { Ok(()) } else { call(context, request, shape).await }
}

/// Asks for a confirmation, and then sends a request that deletes something.
pub(crate) async fn delete<E: Endpoint + 'static>(context: &Context, what: &str, request: E) -> Result<()> {
    confirm(&context.globals, &format!("Delete {what}?"))?;
    let response = context.client().await?.call(request).await?;
    if response.body().trim_ascii().is_empty() {
        context.out.note(&format!("deleted {what}"));
        return Ok(());
    }
    context.out.response(Shape::Record("message"), response.body())
}
