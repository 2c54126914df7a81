use fetch_hive_types::RequestRecord;

use super::endpoint;

endpoint! {
    request: GetRequest { id },
    name: "getRequest",
    method: GET, path: "/public/requests/{id}",
    retry: Idempotent,
    envelope: "request",
    response: RequestRecord,
}
