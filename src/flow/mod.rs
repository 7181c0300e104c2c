//! The stages: accept, fold, reconcile, sweep, announce. A stage never calls another; it hands over a message or a row,
//! so each can crash, restart and be tested alone.

pub mod accept;
mod announce;
pub mod backoff;
pub mod fold;
mod forgotten;
pub mod limits;
pub mod publish;
pub mod reconcile;
pub mod retry_loop;
pub mod rules;
pub mod rules_file;
pub mod silence;
mod sweep;
mod walk;
