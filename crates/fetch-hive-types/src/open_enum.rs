use std::fmt;
use std::marker::PhantomData;

use serde::de::Visitor;

/// Declares an enum of the service that also accepts unknown values.
///
/// An unknown value is kept as `Other`, so that a new value does not make the surrounding object
/// unreadable.
///
/// ```text
/// open_enum! {
///     /// The status of a chat.
///     ChatStatus {
///         /// The chat is in use.
///         Active = "active",
///         /// The chat is archived.
///         Archived = "archived",
///     }
/// }
/// ```
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        ///
        /// Values that this version of the crate does not know are kept as `Other`.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A value that this version of the crate does not know.
            ///
            /// Only `From` and deserialization create it, so that a known value has only one form.
            #[non_exhaustive]
            Other(String),
        }

        impl $name {
            /// The known values, as the service writes them.
            pub const KNOWN: &'static [&'static str] = &[$($text),+];

            /// Returns the value as the service writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }

            fn known(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Other(text.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::known(&text).unwrap_or(Self::Other(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::open_enum::TextVisitor(std::marker::PhantomData))
            }
        }
    };
}

pub(crate) use open_enum;

/// A visitor that creates a value from a string, without copying the string of a known value.
pub(crate) struct TextVisitor<T>(pub(crate) PhantomData<T>);

impl<T: for<'a> From<&'a str> + From<String>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<T, E> {
        Ok(T::from(text))
    }
}
