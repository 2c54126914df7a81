//! The configuration: the builder's settings, deployments and the files that declare them.

pub(crate) mod builder;
pub(crate) mod deployment;
pub(crate) mod file;
pub(crate) mod inputs;
pub(crate) mod reload;
pub(crate) mod script;
pub(crate) mod settings;
pub(crate) mod suggestion;
pub(crate) mod template;
