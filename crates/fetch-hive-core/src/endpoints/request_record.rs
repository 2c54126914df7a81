use fetch_hive_types::RequestRecord;

use super::endpoint;

endpoint! {
    GetRequest(id): "getRequest", GET "/public/requests/{id}", Safe, envelope "request" => RequestRecord;
}
