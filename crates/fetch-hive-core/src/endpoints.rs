//! The operations of the contract, one file for each resource.
//!
//! To add one: declare its request in the types crate, and one `endpoint!` in the file of its resource.

mod agent;
mod approval;
mod asset;
mod catalog;
mod chat;
mod delegation;
mod invoke;
mod knowledge_base;
mod knowledge_base_item;
mod request_record;
mod trigger;

/// Makes a request struct an endpoint: its operation, what fills the path, when it is repeated, how the reply is wrapped, and its response;
/// then whatever methods differ from the defaults.
macro_rules! endpoint {
    (
        $request:ident($($id:ident),*): $name:literal, $method:ident $path:literal, $repeat:ident
        $(, envelope $envelope:literal)? => $response:ty;
        $($items:tt)*
    ) => {
        impl $crate::Endpoint for fetch_hive_types::$request {
            type Response = $response;
            const NAME: &'static str = $name;
            const METHOD: http::Method = http::Method::$method;
            const PATH: &'static str = $path;
            const RETRY: $crate::Retry = $crate::Retry::$repeat;
            $(const ENVELOPE: Option<&'static str> = Some($envelope);)?

            fn path(&self, path: &mut $crate::PathWriter) {
                let _ = path$(.id(&self.$id))*;
            }

            $($items)*
        }
    };
}

use endpoint;
pub use trigger::SecretInQuery;
