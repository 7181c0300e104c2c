//! Decisions. Everything here is pure: no IO, no async, no clock, no randomness, no logging. Time and randomness are
//! arguments; results are values.

pub mod act;
pub mod announcement;
pub mod brake;
pub mod date;
pub mod dedup_window;
pub mod discovery;
pub mod display_name;
pub mod erasure;
pub mod evaluation;
pub mod event;
pub mod forbidden;
pub mod ids;
pub mod json_text;
pub mod limits;
pub mod local_copy;
pub mod log_batch;
pub mod log_record;
pub mod merge;
pub mod name;
pub mod pacer;
pub mod patch;
pub mod person;
pub mod pin;
pub mod plan;
pub mod race;
pub mod removal;
pub mod rule;
pub mod schedule;
pub mod sequence_check;
pub mod snapshot;
pub mod stream_loss;
pub mod subjects;
pub mod tally;
pub mod tenant;
pub mod trim;
