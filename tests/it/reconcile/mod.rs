//! From rows to roles: which users are attempted, what is written at the tenant, and what is recorded and announced.

mod absent_users;
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
mod held_users;
mod hidden_roles;
mod hostile;
mod lost_grants;
mod profiles;
mod queue_turns;
mod races;
mod read_to_write;
mod refused_rows;
mod removals;
mod restores;
mod second_writer;
mod sweep_bounds;
mod trouble;
mod walk;
