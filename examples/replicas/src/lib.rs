//! An axum service in several processes with shared state, a balancer, and a temporary PostgreSQL
//! server for a local run.

pub mod balancer;
pub mod postgres;
pub mod service;
