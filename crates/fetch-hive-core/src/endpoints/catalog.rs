use fetch_hive_types::{ErrorCodeCatalog, Model, SearchServiceCountries};

use super::endpoint;
use crate::{Auth, QueryWriter};

endpoint! {
    request: ListModels {},
    name: "listModels",
    method: GET, path: "/public/models",
    retry: Idempotent,
    response: Vec<Model>,
}

endpoint! {
    request: ListSearchServiceCountries {},
    name: "listSearchServiceCountries",
    method: GET, path: "/public/search_services/countries",
    retry: Idempotent,
    envelope: "services",
    response: Vec<SearchServiceCountries>,

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}

endpoint! {
    request: GetSearchServiceCountries { service },
    name: "getSearchServiceCountries",
    method: GET, path: "/public/search_services/{service}/countries",
    retry: Idempotent,
    response: SearchServiceCountries,

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}

endpoint! {
    request: ListErrorCodes {},
    name: "listErrorCodes",
    method: GET, path: "/error_codes",
    retry: Idempotent,
    response: ErrorCodeCatalog,

    fn query(&self, query: &mut QueryWriter) {
        query.pair("locale", self.locale.as_ref());
    }

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}
