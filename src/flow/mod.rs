//! The stages: accept, fold, reconcile, sweep, announce. A stage never calls another; it hands over a message or a row,
//! so each can crash, restart and be tested alone. `leader` runs the ones that only one worker may run.

pub mod accept;
mod announce;
pub mod apply_plan;
pub mod backoff;
pub mod brakes;
mod chain;
mod confirm;
pub mod count_history;
pub mod discovery;
mod drain;
mod erase_deleted;
pub mod fold;
mod forgotten;
mod gap_filler;
pub mod kept;
pub mod leader;
pub mod letters;
pub mod limits;
mod permit;
pub mod pipe;
pub mod presence;
pub mod preview;
pub mod publish;
pub mod publish_lines;
pub mod rebuild;
mod reconcile;
pub mod recount;
pub mod releases;
pub mod retry_loop;
pub mod rules;
pub mod rules_file;
pub mod silence;
pub mod simulate;
mod sweep;
pub mod verify;
mod walk;
