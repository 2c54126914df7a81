//! The macros that declare the objects of the contract: [`record!`] for responses and [`request!`]
//! for requests.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::Extra;

/// Returns whether a value equals the default of its type, so that serde can leave it out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Deserializes a value, and reads null as the default of its type.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Deserializes a value, and keeps null as a value instead of reading it as a missing field.
pub(crate) fn null_as_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Deserializes a text, and keeps a value of another type as its JSON.
pub(crate) fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Value::deserialize(deserializer).map(json_as_text)
}

/// Returns a string as it is, an object's `message` if it is a string, any other value as its JSON,
/// and null as `None`.
pub(crate) fn json_as_text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Object(object) => match object.get("message").and_then(Value::as_str) {
            Some(message) => Some(message.to_owned()),
            None => Some(Value::Object(object).to_string()),
        },
        other => Some(other.to_string()),
    }
}

/// Chooses between the documented name of a field and its other name.
///
/// The documented one takes precedence. The other one is then kept in `extra`.
pub(crate) fn documented_or<T: fmt::Display>(
    documented: Option<T>,
    other_name: &str,
    other: Option<T>,
    extra: &mut Extra,
) -> Option<T> {
    if let (Some(_), Some(other)) = (&documented, &other) {
        extra.insert(other_name.to_owned(), Value::String(other.to_string()));
    }
    documented.or(other)
}

/// Declares an object that the service sends. Each field is an `Option` or a `Vec`.
///
/// A field that is missing or null is read as `None` or as an empty list, and is left out again
/// when the object is serialized. The macro adds the field `extra`, which keeps unknown fields.
///
/// ```text
/// record! {
///     /// A message of a chat.
///     ChatMessage {
///         /// The text of the message.
///         content: Option<String>,
///         /// The files that were sent with the message.
///         files: Vec<Asset>,
///     }
/// }
/// ```
macro_rules! record {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $(Option<$type:ty>)? $(Vec<$item:ty>)?,)*
    }) => {
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        #[serde(default)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[$field_meta])*
                $(
                    #[serde(skip_serializing_if = "Option::is_none")]
                    pub $field: Option<$type>,
                )?
                $(
                    #[serde(
                        deserialize_with = "crate::macros::null_as_default",
                        skip_serializing_if = "Vec::is_empty"
                    )]
                    pub $field: Vec<$item>,
                )?
            )*
            /// The fields of the JSON object that this version of the crate does not know.
            #[serde(flatten)]
            pub extra: $crate::Extra,
        }
    };
}

/// Declares a request, or an object inside a request.
///
/// The parentheses hold the required fields, which are the arguments of `new`. The braces hold the
/// optional fields of a JSON body, in one of two forms:
///
/// - `field: Type` declares an `Option<Type>` and generates its setter.
/// - `field = Type` declares a `Type` that starts as its default. Its setter is written by hand.
///
/// Both are left out of the body until they are set. The macro adds the field `extra`, which is
/// sent as part of the body.
///
/// ```text
/// request! {
///     /// The settings of a new chat.
///     AgentChatCreate(
///         /// The name of the chat.
///         name: String,
///     ) {
///         /// The number of messages that the chat keeps.
///         limit: u64,
///         /// The names of the people in the chat.
///         people = Vec<String>,
///     }
/// }
/// ```
///
/// A request that is not a JSON object itself ends in a semicolon instead of the braces. Its fields
/// are placed in the path, the query or the body by the endpoint.
///
/// ```text
/// request! {
///     /// Deletes a chat.
///     DeleteAgentChat(
///         /// The id of the chat.
///         id: ChatId,
///     );
/// }
/// ```
macro_rules! request {
    // The argument of a setter. Numbers are not converted, so that a literal has the right type.
    (@argument u32) => { u32 };
    (@argument u64) => { u64 };
    (@argument f64) => { f64 };
    (@argument bool) => { bool };
    (@argument $type:ident) => { impl Into<$type> };

    // The setter of an optional field; one of the form `field = Type` has none.
    (@setter [$(#[doc = $doc:literal])*] $field:ident) => {};
    (@setter [$(#[doc = $doc:literal])*] $field:ident: $type:ident) => {
        #[doc = concat!("Sets the optional field [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        ///
        $(#[doc = $doc])*
        #[allow(clippy::useless_conversion, reason = "a number is not converted")]
        pub fn $field(mut self, $field: $crate::macros::request!(@argument $type)) -> Self {
            self.$field = Some($field.into());
            self
        }
    };

    (
        $(#[$meta:meta])*
        $name:ident($($(#[$field_meta:meta])* $field:ident: $type:ty,)*);
    ) => {
        #[derive(Clone, Debug, PartialEq)]
        $(#[$meta])*
        #[must_use = "a request does nothing until it is sent"]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Creates the request from its required fields.
            #[allow(clippy::new_without_default, reason = "every request is created with `new`")]
            pub fn new($($field: impl Into<$type>),*) -> Self {
                Self { $($field: $field.into(),)* }
            }
        }
    };

    (
        $(#[$meta:meta])*
        $name:ident($($(#[$required_meta:meta])* $required:ident: $required_type:ident,)*) {
            $(
                $(#[doc = $doc:literal])*
                $(#[serde $serde:tt])?
                $field:ident $(: $type:ident)? $(= $manual:ty)?,
            )*
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        #[must_use = "a request does nothing until it is sent"]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$required_meta])* pub $required: $required_type,)*
            $(
                $(#[doc = $doc])*
                $(#[serde $serde])?
                #[serde(default, skip_serializing_if = "crate::macros::is_default")]
                pub $field: $(Option<$type>)? $($manual)?,
            )*
            /// Further fields of the JSON object, which are sent unchanged.
            #[serde(flatten)]
            pub extra: $crate::Extra,
        }

        impl $name {
            /// Creates the object from its required fields; all other fields are unset.
            #[allow(clippy::new_without_default, reason = "every request is created with `new`")]
            #[allow(clippy::useless_conversion, reason = "a number is not converted")]
            pub fn new($($required: $crate::macros::request!(@argument $required_type)),*) -> Self {
                Self {
                    $($required: $required.into(),)*
                    $($field: Default::default(),)*
                    extra: $crate::Extra::new(),
                }
            }

            $($crate::macros::request! { @setter [$(#[doc = $doc])*] $field $(: $type)? })*

            /// Adds a field to the JSON object that this version of the crate does not know.
            pub fn extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
                self.extra.insert(name.into(), value.into());
                self
            }
        }
    };
}

pub(crate) use {record, request};
