//! The two shapes of a wire object: what the service sends (`record!`) and what a caller sends (`request!`).

use serde::{Deserialize, Deserializer};

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Declares an object that the service sends. Fields are `Option` or `Vec`: whatever the service leaves out, or sends as
/// null, is the default, and is left out again on writing. Unknown fields are kept in `extra`.
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
                        deserialize_with = "crate::model::null_as_default",
                        skip_serializing_if = "Vec::is_empty"
                    )]
                    pub $field: Vec<$item>,
                )?
            )*
            /// Fields that this version does not know, as they came.
            #[serde(flatten)]
            pub extra: $crate::Extra,
        }
    };
}

/// Declares an object that a caller sends: `name(required fields) { optional fields }`.
///
/// An optional `field: Type` gets a consuming setter and is left out until it is set, `field: [Type]` is a list whose setter
/// adds to it, `field => Type` has methods
/// of its own, written by hand, and so has `field = Type`, which is always written.
macro_rules! request {
    (
        $(#[$meta:meta])*
        $name:ident ( $($(#[$req_meta:meta])* $req:ident: $req_type:tt,)* ) { $($optional:tt)* }
    ) => {
        $crate::model::request! { @munch
            [$(#[$meta])* $name] [$($(#[$req_meta])* $req: $req_type,)*] [] [] [] $($optional)*
        }
    };
    (@munch $head:tt $required:tt [$($fields:tt)*] [$($inits:tt)*] [$($setters:tt)*]
        $(#[$meta:meta])* $field:ident: [$type:ty], $($rest:tt)*
    ) => {
        $crate::model::request! { @munch $head $required
            [$($fields)*
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub $field: Vec<$type>,
            ]
            [$($inits)* $field: Vec::new(),]
            [$($setters)*
                #[doc = concat!("Adds to [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                pub fn $field<I: IntoIterator<Item: Into<$type>>>(mut self, $field: I) -> Self {
                    self.$field.extend($field.into_iter().map(Into::into));
                    self
                }
            ]
            $($rest)*
        }
    };
    (@munch $head:tt $required:tt [$($fields:tt)*] [$($inits:tt)*] [$($setters:tt)*]
        $(#[$meta:meta])* $field:ident: $type:ident, $($rest:tt)*
    ) => {
        $crate::model::request! { @munch $head $required
            [$($fields)*
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            ]
            [$($inits)* $field: None,]
            [$($setters)*
                #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[allow(clippy::useless_conversion, reason = "numbers are taken as they are, texts and ids are converted")]
                pub fn $field(mut self, $field: $crate::model::argument!($type)) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            ]
            $($rest)*
        }
    };
    (@munch $head:tt $required:tt [$($fields:tt)*] [$($inits:tt)*] $setters:tt
        $(#[$meta:meta])* $field:ident => $type:ty, $($rest:tt)*
    ) => {
        $crate::model::request! { @munch $head $required
            [$($fields)*
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "crate::model::is_default")]
                pub $field: $type,
            ]
            [$($inits)* $field: Default::default(),]
            $setters
            $($rest)*
        }
    };
    (@munch $head:tt $required:tt [$($fields:tt)*] [$($inits:tt)*] $setters:tt
        $(#[$meta:meta])* $field:ident = $type:ty, $($rest:tt)*
    ) => {
        $crate::model::request! { @munch $head $required
            [$($fields)* $(#[$meta])* #[serde(default)] pub $field: $type,]
            [$($inits)* $field: Default::default(),]
            $setters
            $($rest)*
        }
    };
    (@munch
        [$(#[$meta:meta])* $name:ident]
        [$($(#[$req_meta:meta])* $req:ident: $req_type:tt,)*]
        [$($fields:tt)*] [$($inits:tt)*] [$($setters:tt)*]
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        #[must_use = "a request does nothing until it is sent"]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$req_meta])* pub $req: $req_type,)*
            $($fields)*
            /// Fields beyond the ones that this version knows, sent as they are.
            #[serde(flatten)]
            pub extra: $crate::Extra,
        }

        impl $name {
            /// Starts with the required fields.
            #[allow(clippy::new_without_default, reason = "what has no required field still starts with `new`")]
            #[allow(clippy::useless_conversion, reason = "numbers are taken as they are, texts and ids are converted")]
            pub fn new($($req: $crate::model::argument!($req_type)),*) -> Self {
                Self { $($req: $req.into(),)* $($inits)* extra: $crate::Extra::new() }
            }

            $($setters)*

            /// Sends a field that this version does not know.
            pub fn extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
                self.extra.insert(name.into(), value.into());
                self
            }
        }
    };
}

/// What a setter takes for a field: a number itself, so that a literal will do, and whatever converts for all else.
macro_rules! argument {
    (u64) => { u64 };
    (u32) => { u32 };
    (f64) => { f64 };
    (bool) => { bool };
    ($type:tt) => { impl Into<$type> };
}

/// Declares an operation that is made of ids and at most one body: a struct with `new`.
macro_rules! operation {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[must_use = "a request does nothing until it is sent"]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Makes the request.
            #[allow(clippy::new_without_default, reason = "what has no field still starts with `new`")]
            pub fn new($($field: impl Into<$type>),*) -> Self {
                Self { $($field: $field.into(),)* }
            }
        }
    )+};
}

/// Gives requests the setters of their inputs.
macro_rules! with_inputs {
    ($($name:ident),+) => {$(
        impl $name {
            /// Sets one start input from anything that serialises. A value that fails to serialise is reported when the
            /// request is sent, by its name.
            pub fn input(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
                self.inputs.insert(name, value);
                self
            }

            /// Adds every field of a struct or map to the start inputs.
            pub fn inputs(mut self, inputs: impl serde::Serialize) -> Self {
                self.inputs.extend(inputs);
                self
            }
        }
    )+};
}

/// Gives requests the setter of their metadata.
macro_rules! with_metadata {
    ($($name:ident),+) => {$(
        impl $name {
            /// Attaches one metadata value: a string, a number, a boolean, or an `Option` of them for null.
            pub fn metadata<V>(mut self, name: impl Into<String>, value: V) -> Self
            where
                V: TryInto<$crate::MetadataValue>,
                V::Error: std::fmt::Display,
            {
                self.metadata.insert(name, value);
                self
            }
        }
    )+};
}

/// Gives requests the setter of their variant.
macro_rules! with_variant {
    ($($name:ident),+) => {$(
        impl $name {
            /// Sets the variant; an empty one is left out.
            pub fn variant(mut self, variant: impl Into<String>) -> Self {
                self.variant = Some(variant.into()).filter(|variant| !variant.is_empty());
                self
            }
        }
    )+};
}

pub(crate) use {argument, operation, record, request, with_inputs, with_metadata, with_variant};
