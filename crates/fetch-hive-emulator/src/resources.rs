//! Records that are listed, made, read, changed and removed: one way for all kinds, and a table of how the kinds differ.

use serde_json::{Map, Value, json};

use crate::call::{Call, scope};
use crate::moment;
use crate::reply::{Reply, json_reply, refusal};

/// Looks at what was sent of a record, adds what it lacks, or refuses it.
type Check = fn(&Call<'_>, &mut Map<String, Value>) -> Result<(), Box<Reply>>;

/// How a kind of record differs from the others.
pub(crate) struct Kind {
    /// Its name in the store, and what wraps one in requests and replies.
    pub(crate) name: &'static str,
    /// The wrapper where it is not the name.
    pub(crate) wrapper: &'static str,
    /// What wraps a list.
    list: &'static str,
    /// The parameters of the path that make its scope.
    pub(crate) within: &'static [&'static str],
    /// The kind it belongs to, and the parameter that names which.
    parent: Option<(&'static Kind, &'static str)>,
    /// The kinds that go when it does.
    children: &'static [&'static str],
    /// The status where there is none of that id (official SDKs, part b: they differ by resource).
    missing: u16,
    /// What people call it.
    pub(crate) noun: &'static str,
    /// What a new one has beyond what was sent, or why it is refused.
    made: Option<Check>,
    /// What follows from a change, or why it is refused.
    changed: Option<Check>,
    /// What is shown of one.
    pub(crate) shown: fn(&Call<'_>, &str, Value) -> Value,
}

pub(crate) static AGENT: Kind = Kind {
    name: "agent",
    wrapper: "agent",
    list: "agents",
    within: &["workspace_id"],
    parent: None,
    children: &["chat", "message"],
    missing: 422,
    noun: "Agent",
    made: Some(crate::agents::made),
    changed: Some(crate::agents::changed),
    shown: as_kept,
};

pub(crate) static CHAT: Kind = Kind {
    name: "chat",
    wrapper: "chat",
    list: "chats",
    within: &["workspace_id", "agent_id"],
    parent: Some((&AGENT, "agent_id")),
    children: &["message"],
    missing: 404,
    noun: "Chat",
    made: Some(crate::agents::chat_made),
    changed: None,
    shown: crate::agents::chat_shown,
};

pub(crate) static KNOWLEDGE_BASE: Kind = Kind {
    name: "knowledge_base",
    wrapper: "knowledge_base",
    list: "knowledge_bases",
    within: &["workspace_id"],
    parent: None,
    children: &["knowledge_base_item"],
    missing: 422,
    noun: "Knowledge base",
    made: Some(crate::knowledge::made),
    changed: Some(crate::knowledge::changed),
    shown: crate::knowledge::shown,
};

pub(crate) static ITEM: Kind = Kind {
    name: "knowledge_base_item",
    wrapper: "knowledge_base_item",
    list: "knowledge_base_items",
    within: &["workspace_id", "knowledge_base_id"],
    parent: Some((&KNOWLEDGE_BASE, "knowledge_base_id")),
    children: &[],
    missing: 422,
    noun: "Knowledge base item",
    made: Some(crate::knowledge::item_made),
    changed: Some(crate::knowledge::item_changed),
    shown: crate::knowledge::item_shown,
};

pub(crate) static ASSET: Kind = Kind {
    name: "asset",
    wrapper: "asset",
    list: "assets",
    within: &["workspace_id"],
    parent: None,
    children: &[],
    missing: 404,
    noun: "Asset",
    made: None,
    changed: None,
    shown: crate::assets::shown,
};

pub(crate) static APPROVAL: Kind = Kind {
    name: "approval",
    wrapper: "approval",
    list: "approvals",
    within: &["workspace_id"],
    parent: None,
    children: &[],
    missing: 404,
    noun: "Approval",
    made: None,
    changed: None,
    shown: crate::approvals::shown,
};

pub(crate) static DELEGATION: Kind = Kind {
    name: "delegation",
    wrapper: "delegation",
    list: "delegations",
    within: &[],
    parent: None,
    children: &[],
    missing: 404,
    noun: "Delegation",
    made: None,
    changed: None,
    shown: crate::delegations::shown,
};

fn as_kept(_: &Call<'_>, _: &str, record: Value) -> Value {
    visible(record)
}

/// A record without what is only for the emulator: members that begin with an underscore.
pub(crate) fn visible(mut record: Value) -> Value {
    if let Some(record) = record.as_object_mut() {
        record.retain(|name, _| !name.starts_with('_'));
    }
    record
}

/// An id, in the order of time.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// An id where the contract has a UUID or null: others are taken, but not given back there.
pub(crate) fn uuid_or_null(id: &str) -> Value {
    if uuid::Uuid::try_parse(id).is_ok() { id.into() } else { Value::Null }
}

impl Kind {
    pub(crate) fn scope(&self, call: &Call<'_>) -> String {
        call.scope(self.within)
    }

    pub(crate) fn not_found(&self) -> Reply {
        refusal(self.missing, "", &format!("{} not found.", self.noun))
    }

    /// One record as it is kept, or the refusal.
    pub(crate) fn find(&self, call: &Call<'_>, id: &str) -> Result<Value, Box<Reply>> {
        call.service.store.get(self.name, &self.scope(call), id).ok_or_else(|| Box::new(self.not_found()))
    }

    pub(crate) fn parent_exists(&self, call: &Call<'_>) -> Result<(), Box<Reply>> {
        self.parent.map_or(Ok(()), |(parent, named)| parent.find(call, call.id(named)).map(drop))
    }

    fn wrapped(&self, call: &Call<'_>, done: Option<&str>, record: Value) -> Reply {
        let mut reply = Map::new();
        if let Some(done) = done {
            reply.insert("message".to_owned(), format!("{} {done} successfully.", self.noun).into());
        }
        reply.insert(self.wrapper.to_owned(), (self.shown)(call, &self.scope(call), record));
        json_reply(200, &Value::Object(reply))
    }

    pub(crate) fn list(&self, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
        self.parent_exists(call)?;
        let scope = self.scope(call);
        let records = call.service.store.list(self.name, &scope);
        let shown: Vec<_> = records.into_iter().map(|record| (self.shown)(call, &scope, record)).collect();
        Ok(json_reply(200, &json!({self.list: shown})))
    }

    pub(crate) fn create(&self, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
        self.parent_exists(call)?;
        let mut record = call.body[self.wrapper].as_object().cloned().unwrap_or_default();
        record.retain(|name, _| !name.starts_with('_'));
        let id = new_id();
        record.insert("id".to_owned(), id.clone().into());
        record.insert("generated_at".to_owned(), moment::now().into());
        self.made.map_or(Ok(()), |made| made(call, &mut record))?;
        let record = Value::Object(record);
        call.service.store.put(self.name, &self.scope(call), &id, record.clone());
        Ok(self.wrapped(call, Some("created"), record))
    }

    pub(crate) fn read(&self, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
        let record = self.find(call, call.id("id"))?;
        Ok(self.wrapped(call, None, record))
    }

    pub(crate) fn change(&self, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
        self.find(call, call.id("id"))?;
        let mut changes = call.body[self.wrapper].as_object().cloned().unwrap_or_default();
        // What names a record stays as it is.
        changes.retain(|name, _| !name.starts_with('_') && !matches!(name.as_str(), "id" | "generated_at"));
        self.changed.map_or(Ok(()), |changed| changed(call, &mut changes))?;
        let updated = call.service.store.update(self.name, &self.scope(call), call.id("id"), |record| {
            if let Some(record) = record.as_object_mut() {
                record.extend(changes);
            }
        });
        updated.map(|record| self.wrapped(call, Some("updated"), record)).ok_or_else(|| Box::new(self.not_found()))
    }

    pub(crate) fn delete(&self, call: &Call<'_>) -> Result<Reply, Box<Reply>> {
        let (own, id) = (self.scope(call), call.id("id"));
        call.service.store.remove(self.name, &own, id).ok_or_else(|| Box::new(self.not_found()))?;
        let mut ids: Vec<&str> = self.within.iter().map(|name| call.id(name)).collect();
        ids.push(id);
        for child in self.children {
            call.service.store.remove_below(child, &scope(ids.iter().copied()));
        }
        Ok(json_reply(200, &json!({"message": format!("{} deleted successfully.", self.noun)})))
    }
}
