//! Faults: their definition, their text form, the choice of the requests they apply to, and their
//! injection.

pub(crate) mod callback;
pub(crate) mod display;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod grammar;
pub(crate) mod injection;
pub(crate) mod matching;
mod validation;
