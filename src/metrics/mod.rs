//! All Prometheus metrics of the worker.
//!
//! Owns names and HELP texts, which are the doc comments of the fields. Labels are closed sets, and their series start
//! at 0. Must never use a user id, a playlist, a role or an error text as a label.

mod api;
mod define;
mod described;
mod family;
mod fold;
mod labels;
#[cfg(target_os = "linux")]
mod process;
mod reconcile;
mod room;
mod rules;
mod tenant_log;
#[cfg(test)]
mod tests;
mod worker;

pub use api::ApiMetrics;
pub use described::{Described, DescribedLabel};
pub use family::{Counters, Family, Floats, Gauges, Histograms};
pub use fold::FoldMetrics;
pub use labels::{
    Adoption, Braked, Call, CallResult, ChangeOutcome, Delivered, Delivery, GapRecord, KeyFetch, Label,
    Labels, Later, LinkChange, NameState, PinState, QueueState, Status, Stream, SweepPart, Treatment, Unsent,
};
pub use reconcile::ReconcileMetrics;
pub use room::RoomMetrics;
pub use rules::RulesMetrics;
pub use tenant_log::TenantLogMetrics;
pub use worker::Metrics;
