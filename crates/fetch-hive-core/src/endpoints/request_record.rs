use fetch_hive_types::RequestRecord;

use super::endpoint;

endpoint! {
    GetRequest(id): "getRequest", GET "/public/requests/{id}", Idempotent, envelope "request" => RequestRecord;
}
