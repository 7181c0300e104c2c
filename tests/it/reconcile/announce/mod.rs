//! Role changes on the stream ROLE_CHANGES.

mod announced;
mod lost;
mod order;
