//! Placeholder.

pub mod backoff;
