use crate::macros::record;

record! {
    /// What the service says when there is nothing else to say, as after a deletion.
    MessageResponse {
        /// What it says.
        message: Option<String>,
    }
}
