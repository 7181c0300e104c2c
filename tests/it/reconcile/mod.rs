//! From rows to roles: which users are attempted, what is written at the tenant, and what is recorded and announced.

mod announce;
mod answers;
mod auth0_client;
mod breaker;
mod calls;
mod closed_writes;
mod display_names;
mod foreign_changes;
mod forged_records;
mod gone;
mod hostile;
mod large_profiles;
mod lost_grants;
mod profiles;
mod queue_turns;
mod races;
mod read_to_write;
mod removals;
mod restores;
mod second_writer;
mod slow_tenant;
mod sweep_bounds;
mod trouble;
mod walk;
