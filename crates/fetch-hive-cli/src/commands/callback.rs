//! `fetch-hive callback`.

mod forward;
mod listen;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fetch_hive_client::callback::{CallbackError, SIGNATURE_HEADER, SignatureError, Verifier};
use http::{HeaderMap, HeaderValue};

use self::listen::Listen;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::keys::secret_from_env;

#[derive(Debug, Subcommand)]
pub(crate) enum Callback {
    /// Receive callbacks on this machine: verify, print, record and forward them
    Listen(Listen),
    /// Verify the signature of a callback that was received elsewhere
    Verify(Verify),
}

const EXAMPLES: &str = "\
Examples:
  fetch-hive callback verify --secret-env SECRET --signature 5d41… body.json
  fetch-hive callback verify --secret-env SECRET --signature 5d41… - < body.json";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Verify {
    /// The file with the body, byte for byte as it was received, or - for standard input
    body: PathBuf,
    /// The environment variable that contains the webhook secret
    #[arg(long, value_name = "NAME", required = true)]
    secret_env: Vec<String>,
    /// The value of the header x-fetch-hive-signature
    #[arg(long, value_name = "SIGNATURE")]
    signature: String,
}

pub(crate) async fn execute(command: Callback, context: &Context) -> Result<()> {
    match command {
        Callback::Listen(listen) => listen::execute(listen, context).await,
        Callback::Verify(verify) => self::verify(&verify, context),
    }
}

fn verify(command: &Verify, context: &Context) -> Result<()> {
    let secrets = command.secret_env.iter().map(|name| secret_from_env(name)).collect::<Result<Vec<_>>>()?;
    let body = inputs::read_bytes(&command.body)?;
    let mut headers = HeaderMap::new();
    let signature = HeaderValue::try_from(command.signature.trim())
        .map_err(|_| Failure::usage("--signature has a character that a header cannot contain"))?;
    headers.insert(SIGNATURE_HEADER, signature);
    let delivery = Verifier::new(secrets).verify(&headers, body).map_err(|error| {
        let next = match &error {
            CallbackError::Signature(SignatureError::Mismatch) => {
                "check the secret, and pass the body byte for byte; a body that was parsed and written again differs"
            }
            _ => "copy the header x-fetch-hive-signature as it was received",
        };
        Failure::other(error.to_string()).next(next)
    })?;
    if context.out.wants_json() {
        return context.out.json(&delivery.raw);
    }
    let event = delivery.event.event_type.as_ref().map_or("unknown event", |event| event.as_str());
    let id = delivery.event.request_id.as_ref().map_or("no request id", |id| id.as_str());
    context.out.text(&format!("genuine: {event} of {id}"))
}
