//! Parses JSON of any schema, and reports fields that occur more than once.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::deserializer::{Log, Path, report};

/// The key with which `serde_json` represents a number if its feature `arbitrary_precision` is
/// enabled.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// Deserializes a [`Value`] and keeps the last value of a repeated field that is not null.
#[derive(Clone, Copy)]
pub(super) struct Tree<'p> {
    pub(super) path: &'p Path<'p>,
    pub(super) log: &'p Log,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Index(self.path, list.len());
            let Some(element) = elements.next_element_seed(Tree { path: &path, ..self })? else { break };
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == NUMBER_KEY {
                let number: String = fields.next_value()?;
                return Number::from_str(&number).map(Value::Number).map_err(Error::custom);
            }
            let path = Path::Key(self.path, &name);
            let value = fields.next_value_seed(Tree { path: &path, ..self })?;
            if object.contains_key(&name) {
                report(self.log, &path, "occurs more than once; the last value that is not null was read");
            }
            match object.entry(name) {
                Entry::Vacant(field) => drop(field.insert(value)),
                Entry::Occupied(mut field) if !value.is_null() => drop(field.insert(value)),
                Entry::Occupied(_) => {}
            }
        }
        Ok(Value::Object(object))
    }
}
