//! A receiver and a scraper of metrics.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod otlp;
pub(crate) mod prometheus;
