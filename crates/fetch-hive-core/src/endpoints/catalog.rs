use fetch_hive_types::{ErrorCodeCatalog, Model, SearchServiceCountries};

use super::endpoint;
use crate::{Auth, QueryWriter};

endpoint! {
    ListModels(): "listModels", GET "/public/models", Idempotent => Vec<Model>;
}

endpoint! {
    ListSearchServiceCountries(): "listSearchServiceCountries", GET "/public/search_services/countries", Idempotent,
        envelope "services" => Vec<SearchServiceCountries>;

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}

endpoint! {
    GetSearchServiceCountries(service): "getSearchServiceCountries",
        GET "/public/search_services/{service}/countries", Idempotent => SearchServiceCountries;

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}

endpoint! {
    ListErrorCodes(): "listErrorCodes", GET "/error_codes", Idempotent => ErrorCodeCatalog;

    fn query(&self, query: &mut QueryWriter) {
        query.pair("locale", self.locale.as_ref());
    }

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }
}
