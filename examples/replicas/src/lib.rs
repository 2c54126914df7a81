//! An axum service in several processes that share their state, and what is needed to try it: a
//! balancer and a throwaway PostgreSQL server.

pub mod balancer;
pub mod postgres;
pub mod service;
