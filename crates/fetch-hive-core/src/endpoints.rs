//! The operations of the contract, one file per resource.

mod workflow;
