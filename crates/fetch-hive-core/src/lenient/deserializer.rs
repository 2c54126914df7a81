use std::cell::RefCell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, UnitDeserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Value, map};

use super::unreadable::UnreadableField;

/// The maximum number of reported fields, so that a hostile body does not fill the memory.
const MAX_REPORTED: usize = 1_000;

pub(super) type Log = RefCell<Vec<UnreadableField>>;

/// Adds a field to the report, unless it is full.
pub(super) fn report(log: &Log, path: &Path<'_>, reason: impl Into<String>) {
    let mut log = log.borrow_mut();
    if log.len() < MAX_REPORTED {
        log.push(UnreadableField { path: path.to_string(), reason: reason.into() });
    }
}

/// The path to a value from the root of a body.
pub(super) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A deserializer of parsed JSON that replaces a malformed field or list element by an absent one.
///
/// The replacement happens where a field or an element is read, because only there both its value
/// and its type are known. Everything is read once.
pub(super) struct Lenient<'v, 'p> {
    value: &'v Value,
    path: &'p Path<'p>,
    log: &'p Log,
}

impl<'v, 'p> Lenient<'v, 'p> {
    pub(super) fn new(value: &'v Value, path: &'p Path<'p>, log: &'p Log) -> Self {
        Self { value, path, log }
    }

    /// Reads a number, also from a string, and a float without a fraction as an integer.
    fn number<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        let number = match self.value {
            Value::String(text) => match text.trim().parse::<u64>() {
                Ok(number) => return visitor.visit_u64(number),
                Err(_) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()),
            },
            Value::Number(number) if number.is_f64() => number.as_f64(),
            _ => None,
        };
        match number {
            // Larger floats are not exact.
            Some(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 =>
            {
                #[allow(clippy::cast_possible_truncation, reason = "checked above")]
                visitor.visit_i64(number as i64)
            }
            Some(number) => visitor.visit_f64(number),
            None => self.deserialize_any(visitor),
        }
    }
}

/// Reads a field or an element, or else one of its absent forms.
fn read_or_absent<'v, T: Deserialize<'v>>(
    lenient: Lenient<'v, '_>,
    absent: impl FnOnce() -> Result<T, Reason>,
) -> Result<T, Reason> {
    let Lenient { path, log, .. } = lenient;
    let reported = log.borrow().len();
    T::deserialize(lenient).or_else(|reason| {
        // If the value itself is unreadable, its fields need no report.
        log.borrow_mut().truncate(reported);
        let Ok(value) = absent() else { return Err(reason) };
        report(log, path, reason.0);
        Ok(value)
    })
}

fn null<'v, T: Deserialize<'v>>() -> Result<T, Reason> {
    T::deserialize(UnitDeserializer::new())
}

fn empty<'v, T: Deserialize<'v>>() -> Result<T, Reason> {
    let no_fields = std::iter::empty::<(&str, &str)>();
    null()
        .or_else(|_| T::deserialize(MapDeserializer::new(no_fields)))
        .or_else(|_: Reason| T::deserialize(BorrowedStrDeserializer::new("")))
}

struct Fields<'v, 'p> {
    rest: map::Iter<'v>,
    current: Option<(&'v String, &'v Value)>,
    path: &'p Path<'p>,
    log: &'p Log,
}

impl<'v> MapAccess<'v> for Fields<'v, '_> {
    type Error = Reason;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Reason> {
        self.current = self.rest.next();
        self.current.map(|(key, _)| seed.deserialize(BorrowedStrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, Reason> {
        let (key, value) = self.current.take().ok_or_else(Reason::no_key)?;
        seed.deserialize(Lenient::new(value, &Path::Key(self.path, key), self.log))
    }

    fn next_value<V: Deserialize<'v>>(&mut self) -> Result<V, Reason> {
        let (key, value) = self.current.take().ok_or_else(Reason::no_key)?;
        read_or_absent(Lenient::new(value, &Path::Key(self.path, key), self.log), null)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Elements<'v, 'p> {
    rest: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
    path: &'p Path<'p>,
    log: &'p Log,
}

impl<'v> SeqAccess<'v> for Elements<'v, '_> {
    type Error = Reason;

    fn next_element_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<Option<T::Value>, Reason> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(Lenient::new(value, &Path::Index(self.path, index), self.log)).map(Some)
    }

    fn next_element<T: Deserialize<'v>>(&mut self) -> Result<Option<T>, Reason> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        read_or_absent(Lenient::new(value, &Path::Index(self.path, index), self.log), empty).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

impl<'v> Deserializer<'v> for Lenient<'v, '_> {
    type Error = Reason;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        let Self { value, path, log } = self;
        match value {
            Value::Array(elements) => visitor.visit_seq(Elements { rest: elements.iter().enumerate(), path, log }),
            Value::Object(fields) => visitor.visit_map(Fields { rest: fields.iter(), current: None, path, log }),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => visitor.visit_unit(),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or_default()),
            },
        }
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, _: &'static str, visitor: V) -> Result<V::Value, Reason> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Reason> {
        self.value.deserialize_enum(name, variants, visitor).map_err(|_| Reason("is not a known variant".to_owned()))
    }

    fn deserialize_bool<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        match self.value.as_str() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u8<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_u16<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_u32<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_u64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_i8<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_i16<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_i32<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_f32<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    fn deserialize_f64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Reason> {
        self.number(visitor)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>>
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// The reason why a value could not be read. It names types, and never a value.
#[derive(Debug)]
pub(super) struct Reason(String);

impl Reason {
    fn no_key() -> Self {
        Self("has no key".to_owned())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl de::Error for Reason {
    /// Discards the message, because it may quote the value.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("has an invalid value".to_owned())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("expected {expected}, found {}", kind(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("expected {expected}, found {} that is not one", kind(unexpected)))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self(format!("expected {expected}, found {length} elements"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("the field `{field}` is missing"))
    }
}

fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "a value",
    }
}
