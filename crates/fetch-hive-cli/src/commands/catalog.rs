//! `fetch-hive model`, `fetch-hive country` and `fetch-hive error-code`.

use clap::Subcommand;
use fetch_hive_client::types::{GetSearchServiceCountries, ListErrorCodes, ListModels, ListSearchServiceCountries};

use super::resource::call;
use crate::context::Context;
use crate::failure::Result;
use crate::table::Shape;

const MODELS: Shape =
    Shape::List { key: "models", columns: &["slug", "name", "provider_name", "model_type", "context_limit"] };
const SERVICES: Shape = Shape::List { key: "services", columns: &["service", "name", "country_value_format"] };
const COUNTRIES: Shape = Shape::List { key: "countries", columns: &["value", "alpha2", "country_name"] };
const ERROR_CODES: Shape = Shape::List { key: "codes", columns: &["code", "status", "category", "message"] };

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// List the models
    #[command(before_help = "Examples:\n  fetch-hive model list --jq '.[].slug'")]
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Country {
    /// List the search services, each with its countries; needs no key
    #[command(before_help = "Examples:\n  fetch-hive country list --json")]
    List,
    /// List the countries of a search service; needs no key
    #[command(before_help = "Examples:\n  fetch-hive country get bing_search")]
    Get {
        /// The name of the search service
        service: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ErrorCode {
    /// List the error codes of the service; needs no key
    #[command(before_help = "Examples:\n  fetch-hive error-code list --locale es")]
    List {
        /// The language of the messages, such as es
        #[arg(long, value_name = "LANGUAGE")]
        locale: Option<String>,
    },
}

pub(crate) async fn models(command: Model, context: &Context) -> Result<()> {
    let Model::List = command;
    call(context, ListModels::new(), MODELS).await
}

pub(crate) async fn countries(command: Country, context: &Context) -> Result<()> {
    match command {
        Country::List => call(context, ListSearchServiceCountries::new(), SERVICES).await,
        Country::Get { service } => call(context, GetSearchServiceCountries::new(service), COUNTRIES).await,
    }
}

pub(crate) async fn error_codes(command: ErrorCode, context: &Context) -> Result<()> {
    let ErrorCode::List { locale } = command;
    call(context, ListErrorCodes::new(locale), ERROR_CODES).await
}
