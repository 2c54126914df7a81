//! Catalogs that do not belong to a workspace: models, countries of search services, error codes.

use crate::ErrorCode;
use crate::macros::{record, request};
use crate::open_enum::open_enum;

request! {
    /// A request to list the models that the service offers.
    ///
    /// The request is `GET /public/models`.
    ListModels();
}

request! {
    /// A request to list the supported countries of every search service.
    ///
    /// The request is `GET /public/search_services/countries`. It needs no API key.
    ListSearchServiceCountries();
}

request! {
    /// A request to get the supported countries of one search service.
    ///
    /// The request is `GET /public/search_services/{service}/countries`. It needs no API key. For
    /// an unsupported service, the error body lists the supported ones in
    /// [`supported_services`](crate::ErrorBody::supported_services).
    GetSearchServiceCountries(
        /// The key of the search service, such as `google_search`.
        service: String,
    );
}

request! {
    /// A request to get the catalog of error codes.
    ///
    /// The request is `GET /error_codes`. It needs no API key.
    ListErrorCodes(
        /// The language of the texts, such as `es`, or `None` for the default language.
        locale: Option<String>,
    );
}

record! {
    /// A language model or image model that the service offers.
    Model {
        /// The id of the model, such as `gpt-4.1`.
        id: Option<String>,
        /// The display name of the model.
        name: Option<String>,
        /// The URL-safe name of the model, such as `gpt-4-1`.
        slug: Option<String>,
        /// The key of the model's provider, such as `openai`.
        provider: Option<String>,
        /// The display name of the model's provider.
        provider_name: Option<String>,
        /// The size of the model's context window in tokens.
        context_limit: Option<u64>,
        /// The kind of content that the model generates.
        model_type: Option<ModelType>,
        /// Whether the model can generate images.
        is_image_generation: Option<bool>,
        /// Whether the model accepts images as input.
        is_vision: Option<bool>,
        /// Whether the model can reason before it answers.
        is_reasoning: Option<bool>,
        /// Whether the model can call tools.
        is_tool_calling: Option<bool>,
        /// Whether the model can answer in the form of a JSON schema.
        is_json_schema: Option<bool>,
    }
}

open_enum! {
    /// The kind of content that a model generates.
    ModelType {
        /// The model generates text, as language models do.
        Llm = "llm",
        /// The model generates images from a prompt.
        ImageGeneration = "image_generation",
    }
}

record! {
    /// A search service and the countries that it supports.
    SearchServiceCountries {
        /// The key of the search service, such as `google_ai_overview`.
        service: Option<String>,
        /// The display name of the search service.
        name: Option<String>,
        /// The name of the setting that holds the country, such as `google_location_name`.
        country_value_field: Option<String>,
        /// The form in which the setting expects the country.
        country_value_format: Option<CountryValueFormat>,
        /// The countries that the search service supports.
        countries: Vec<SearchServiceCountry>,
    }
}

open_enum! {
    /// The form in which a search service expects a country.
    CountryValueFormat {
        /// The English name of the country.
        CountryName = "country_name",
        /// The two-letter ISO 3166-1 code of the country.
        Alpha2 = "alpha2",
    }
}

record! {
    /// A country that a search service supports.
    SearchServiceCountry {
        /// The English name of the country.
        country_name: Option<String>,
        /// The two-letter ISO 3166-1 code of the country.
        alpha2: Option<String>,
        /// The value that the search service expects for the country.
        value: Option<String>,
    }
}

record! {
    /// The catalog of the service's error codes.
    ///
    /// See the [contract](crate::contract#errors-and-limits).
    ErrorCodeCatalog {
        /// The language of the texts in the catalog.
        locale: Option<String>,
        /// The name of the error body's field that holds the code.
        default_field: Option<String>,
        /// The other names under which the field may be sent.
        compatibility_aliases: Vec<String>,
        /// The error codes that the service may send.
        codes: Vec<ErrorCodeEntry>,
    }
}

record! {
    /// The description of one error code.
    ErrorCodeEntry {
        /// The error code that the entry describes.
        code: Option<ErrorCode>,
        /// The HTTP status that the service sends with the code.
        status: Option<u16>,
        /// The name of the error body's field that holds the code.
        field: Option<String>,
        /// The translation key of the message.
        message_key: Option<String>,
        /// The message for people, in the language of the catalog.
        message: Option<String>,
        /// The other names under which the field may be sent.
        field_aliases: Vec<String>,
        /// The category that the service assigns to the error.
        category: Option<String>,
        /// The translation key of the recommended action.
        client_action_key: Option<String>,
        /// The recommended action for people, in the language of the catalog.
        client_action: Option<String>,
    }
}
