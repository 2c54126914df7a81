//! The operations that all resources share: list, create, get, update and delete.

use serde_json::{Map, Value, json};

use crate::http::response::{Response, error_response, json_response};
use crate::operations::request::{OperationRequest, OperationResult, scope};
use crate::state::clock;
use crate::state::ids::new_id;

/// A function that completes the fields of a request, or rejects them.
type Check = fn(&OperationRequest<'_>, &mut Map<String, Value>) -> Result<(), Box<Response>>;

/// A function that converts a stored record into the JSON of a response. Its second argument is the
/// scope of the record.
type View = fn(&OperationRequest<'_>, &str, Value) -> Value;

/// The description of a resource.
pub(crate) struct Resource {
    /// The kind of the records in the store.
    pub(crate) kind: &'static str,
    /// The field that contains the resource in requests and responses.
    pub(crate) field: &'static str,
    /// The field that contains the list of resources.
    pub(crate) list_field: &'static str,
    /// The path parameters of the scope.
    pub(crate) scope: &'static [&'static str],
    /// The resource that contains this one, and the path parameter with its id.
    pub(crate) parent: Option<(&'static Resource, &'static str)>,
    /// The kinds of the records that are deleted with a record.
    pub(crate) child_kinds: &'static [&'static str],
    /// The status for an unknown id. In the tests of the official SDKs, it differs by resource.
    pub(crate) missing_status: u16,
    /// The name of the resource in messages.
    pub(crate) noun: &'static str,
    pub(crate) on_create: Option<Check>,
    pub(crate) on_update: Option<Check>,
    pub(crate) view: View,
}

/// Returns the stored record without its internal fields.
pub(crate) fn plain_view(_: &OperationRequest<'_>, _: &str, record: Value) -> Value {
    without_internal_fields(record)
}

/// Removes the internal fields of a record, whose names start with an underscore.
pub(crate) fn without_internal_fields(mut record: Value) -> Value {
    if let Some(record) = record.as_object_mut() {
        record.retain(|name, _| !name.starts_with('_'));
    }
    record
}

impl Resource {
    pub(crate) fn scope(&self, request: &OperationRequest<'_>) -> String {
        request.scope(self.scope)
    }

    pub(crate) fn not_found(&self) -> Response {
        error_response(self.missing_status, "", &format!("{} not found.", self.noun))
    }

    /// Returns a stored record, or the error response for an unknown id.
    pub(crate) fn find(&self, request: &OperationRequest<'_>, id: &str) -> Result<Value, Box<Response>> {
        request.state.store.get(self.kind, &self.scope(request), id).ok_or_else(|| Box::new(self.not_found()))
    }

    /// Checks that the parent of the path exists.
    pub(crate) fn check_parent(&self, request: &OperationRequest<'_>) -> Result<(), Box<Response>> {
        self.parent.map_or(Ok(()), |(parent, parameter)| parent.find(request, request.id(parameter)).map(drop))
    }

    fn response(&self, request: &OperationRequest<'_>, action: Option<&str>, record: Value) -> Response {
        let mut body = Map::new();
        if let Some(action) = action {
            body.insert("message".to_owned(), format!("{} {action} successfully.", self.noun).into());
        }
        body.insert(self.field.to_owned(), (self.view)(request, &self.scope(request), record));
        json_response(200, &Value::Object(body))
    }

    pub(crate) fn list(&self, request: &OperationRequest<'_>) -> OperationResult {
        self.check_parent(request)?;
        let scope = self.scope(request);
        let records = request.state.store.list(self.kind, &scope);
        let list: Vec<_> = records.into_iter().map(|record| (self.view)(request, &scope, record)).collect();
        Ok(json_response(200, &json!({self.list_field: list})))
    }

    pub(crate) fn create(&self, request: &OperationRequest<'_>) -> OperationResult {
        self.check_parent(request)?;
        let mut record = request.body[self.field].as_object().cloned().unwrap_or_default();
        record.retain(|name, _| !name.starts_with('_'));
        let id = new_id();
        record.insert("id".to_owned(), id.clone().into());
        record.insert("generated_at".to_owned(), clock::now().into());
        self.on_create.map_or(Ok(()), |check| check(request, &mut record))?;
        let record = Value::Object(record);
        request.state.store.put(self.kind, &self.scope(request), &id, record.clone());
        Ok(self.response(request, Some("created"), record))
    }

    pub(crate) fn get(&self, request: &OperationRequest<'_>) -> OperationResult {
        let record = self.find(request, request.id("id"))?;
        Ok(self.response(request, None, record))
    }

    pub(crate) fn update(&self, request: &OperationRequest<'_>) -> OperationResult {
        self.find(request, request.id("id"))?;
        let mut changes = request.body[self.field].as_object().cloned().unwrap_or_default();
        changes.retain(|name, _| !name.starts_with('_') && !matches!(name.as_str(), "id" | "generated_at"));
        self.on_update.map_or(Ok(()), |check| check(request, &mut changes))?;
        let updated = request.state.store.update(self.kind, &self.scope(request), request.id("id"), |record| {
            if let Some(record) = record.as_object_mut() {
                record.extend(changes);
            }
        });
        updated.map(|record| self.response(request, Some("updated"), record)).ok_or_else(|| Box::new(self.not_found()))
    }

    pub(crate) fn delete(&self, request: &OperationRequest<'_>) -> OperationResult {
        let (own_scope, id) = (self.scope(request), request.id("id"));
        request.state.store.remove(self.kind, &own_scope, id).ok_or_else(|| Box::new(self.not_found()))?;
        let mut ids: Vec<&str> = self.scope.iter().map(|name| request.id(name)).collect();
        ids.push(id);
        for kind in self.child_kinds {
            request.state.store.remove_below(kind, &scope(ids.iter().copied()));
        }
        Ok(json_response(200, &json!({"message": format!("{} deleted successfully.", self.noun)})))
    }
}
