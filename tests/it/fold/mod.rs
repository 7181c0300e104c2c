//! From messages to rows: events and log records are counted once, and what cannot be counted stops nothing else.

mod accepted_losses;
mod cloud_events;
mod counts;
mod cut_texts;
mod directories;
mod event_ids;
mod exactly_once;
mod local_copy;
mod log_gaps;
mod log_silence;
mod losses;
mod mirror_promoted;
mod model_store;
mod outages;
mod poison;
mod postgres_outages;
mod readers;
mod record_hints;
mod refused;
mod retractions;
mod small_batches;
mod stream_full;
mod trimming;
mod unparsable;
