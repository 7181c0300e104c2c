//! Role changes on the stream ROLE_CHANGES.

mod announced;
mod handed_over;
mod lost;
mod order;
