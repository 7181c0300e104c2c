//! Publishes the lines of a file to `APP_EVENTS`: one event a line, checked by the parser of the fold.
//!
//! Owns the order of the events of one playlist, also where a part is sent again. Must never send a line that the fold could
//! not read.

mod batches;
mod retry;
mod send;

pub use batches::{Checked, check};
pub use send::{End, PublishLines, Sent, sent_again_within};
