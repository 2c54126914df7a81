use crate::macros::record;

record! {
    /// The response to a request that returns only a message, such as a deletion.
    MessageResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
    }
}
