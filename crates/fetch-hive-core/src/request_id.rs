use fetch_hive_types::RequestId;
use http::HeaderMap;

/// Returns the id of the run that a response belongs to.
///
/// Reads the `request_id` field of a JSON body, or else the `x-request-id` header. It is
/// unconfirmed that the header carries the id of a run.
pub fn find_request_id(headers: &HeaderMap, body: &[u8]) -> Option<RequestId> {
    #[derive(serde::Deserialize)]
    struct Fields {
        request_id: RequestId,
    }
    match serde_json::from_slice::<Fields>(body) {
        Ok(fields) => Some(fields.request_id),
        Err(_) => header_request_id(headers),
    }
}

/// Returns the value of the `x-request-id` header.
///
/// No source documents this header. It is the common name for a request id.
pub(crate) fn header_request_id(headers: &HeaderMap) -> Option<RequestId> {
    headers.get("x-request-id")?.to_str().ok().map(RequestId::from)
}
