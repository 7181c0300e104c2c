//! Traces for OpenTelemetry: the way of an event from its publisher to Auth0.
//!
//! Owns the feature `otel`: with it, spans are exported over OTLP; without it, the same functions do nothing. Must never delay,
//! stop or fail what is traced, and never name a user in a span.

mod attempt_of;
#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
mod none;
#[cfg(feature = "otel")]
mod span;

pub use attempt_of::AttemptOf;
#[cfg(feature = "otel")]
pub use context::parent;
#[cfg(feature = "otel")]
pub use export::{Traces, counts};
#[cfg(not(feature = "otel"))]
pub use none::{Span, Traces, attempt, call, counts, decision, fold, parent};
#[cfg(feature = "otel")]
pub use span::{Span, attempt, call, decision, fold};
