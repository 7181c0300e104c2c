//! Deliveries of log records over HTTP.

mod bodies;
mod floods;
mod forms;
mod memory;
mod slow;
