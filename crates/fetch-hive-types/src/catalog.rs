//! What needs no workspace: models, countries of search services, error codes.

use crate::ErrorCode;
use crate::macros::{record, request};
use crate::open_enum::open_enum;

request! {
    /// Lists the models: `GET /public/models`.
    ListModels();
}

request! {
    /// Lists the countries of every search service: `GET /public/search_services/countries`. Needs no key.
    ListSearchServiceCountries();
}

request! {
    /// Lists the countries of one search service: `GET /public/search_services/{service}/countries`. Needs no key; an unknown service is
    /// refused with the ones that are known, in [`ErrorBody::supported_services`](crate::ErrorBody::supported_services).
    GetSearchServiceCountries(
        /// The service, such as `google_search`.
        service: String,
    );
}

request! {
    /// Reads the catalogue of error codes: `GET /error_codes`. Needs no key.
    ListErrorCodes(
        /// The language of the texts, such as `es`; the service's default without one.
        locale: Option<String>,
    );
}

record! {
    /// A model (contract, section 2).
    Model {
        /// Its id, such as `gpt-4.1`.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
        /// Its slug, such as `gpt-4-1`.
        slug: Option<String>,
        /// Who provides it.
        provider: Option<String>,
        /// The provider's name.
        provider_name: Option<String>,
        /// How many tokens it takes.
        context_limit: Option<u64>,
        /// What it makes.
        model_type: Option<ModelType>,
        /// Whether it makes images.
        is_image_generation: Option<bool>,
        /// Whether it takes images.
        is_vision: Option<bool>,
        /// Whether it reasons.
        is_reasoning: Option<bool>,
        /// Whether it calls tools.
        is_tool_calling: Option<bool>,
        /// Whether it keeps to a JSON schema.
        is_json_schema: Option<bool>,
    }
}

open_enum! {
    /// What a model makes.
    ModelType {
        /// Text.
        Llm = "llm",
        /// Images.
        ImageGeneration = "image_generation",
    }
}

record! {
    /// The countries that a search service can be asked for.
    SearchServiceCountries {
        /// The service, such as `google_ai_overview`.
        service: Option<String>,
        /// Its name.
        name: Option<String>,
        /// The field that takes the country's value.
        country_value_field: Option<String>,
        /// How that value is written.
        country_value_format: Option<CountryValueFormat>,
        /// The countries.
        countries: Vec<SearchServiceCountry>,
    }
}

open_enum! {
    /// How a search service wants a country written.
    CountryValueFormat {
        /// By its name.
        CountryName = "country_name",
        /// By its two-letter code.
        Alpha2 = "alpha2",
    }
}

record! {
    /// A country of a search service.
    SearchServiceCountry {
        /// Its name.
        country_name: Option<String>,
        /// Its two-letter code.
        alpha2: Option<String>,
        /// What the service takes for it.
        value: Option<String>,
    }
}

record! {
    /// The catalogue of error codes (contract, section 7).
    ErrorCodeCatalog {
        /// The language of its texts.
        locale: Option<String>,
        /// The field that carries the code.
        default_field: Option<String>,
        /// Other names of that field.
        compatibility_aliases: Vec<String>,
        /// The codes.
        codes: Vec<ErrorCodeEntry>,
    }
}

record! {
    /// One error code, explained.
    ErrorCodeEntry {
        /// The code.
        code: Option<ErrorCode>,
        /// The status that it comes with.
        status: Option<u16>,
        /// The field that carries it.
        field: Option<String>,
        /// The key of its text.
        message_key: Option<String>,
        /// Its text.
        message: Option<String>,
        /// Other names of the field.
        field_aliases: Vec<String>,
        /// What kind of trouble it is.
        category: Option<String>,
        /// The key of what to do.
        client_action_key: Option<String>,
        /// What to do.
        client_action: Option<String>,
    }
}
