//! The real binary against real servers and a stand-in tenant, and the rules of the project.
//!
//! In reading order: [`world`] is the place of a story, [`events`] are the messages of app servers, [`oracle`] computes
//! the expected result, [`proxy`] breaks connections. The other modules are the stories, by subject.

// `cfg(test)` is always set here; with it clippy treats helpers as tests.
#[cfg(test)]
mod events;
#[cfg(test)]
mod nats_jwt;
#[cfg(test)]
mod nats_options;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod world;

mod acts;
#[cfg(test)]
mod adopt;
mod announce;
#[cfg(test)]
mod announce_lost;
#[cfg(test)]
mod announce_order;
#[cfg(test)]
mod answers;
mod auth0_client;
mod brake;
#[cfg(test)]
mod brake_release;
#[cfg(test)]
mod client_key;
mod closed_writes;
#[cfg(test)]
mod config;
mod config_empty;
mod config_nats;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod data_api;
#[cfg(test)]
mod data_api_budget;
#[cfg(test)]
mod data_api_description;
#[cfg(test)]
mod data_api_erased;
#[cfg(test)]
mod data_api_routes;
#[cfg(test)]
mod data_api_tokens;
#[cfg(test)]
mod display_names;
#[cfg(test)]
mod erase;
#[cfg(test)]
mod erase_letters;
#[cfg(test)]
mod event_ids;
#[cfg(test)]
mod fold_counts;
#[cfg(test)]
mod fold_exactly_once;
#[cfg(test)]
mod fold_losses;
#[cfg(test)]
mod fold_outages;
#[cfg(test)]
mod fold_poison;
#[cfg(test)]
mod fold_readers;
#[cfg(test)]
mod fold_refused;
#[cfg(test)]
mod fold_small_batches;
#[cfg(test)]
mod fold_unparsable;
mod foreign_changes;
mod forged_records;
#[cfg(test)]
mod gone;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod house;
#[cfg(test)]
mod late_writes;
#[cfg(test)]
mod least_rights;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod local_copy;
#[cfg(test)]
mod log_gaps;
mod lost_grants;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod mirror_promoted;
#[cfg(test)]
mod names_rate;
mod nats_jetstream;
mod nats_login;
mod nats_tls;
#[cfg(test)]
mod nats_versions;
mod official_clients;
#[cfg(test)]
mod ops;
mod parked;
mod postgres_connections;
mod postgres_pooler;
mod postgres_refusals;
#[cfg(test)]
mod postgres_restored;
#[cfg(test)]
mod queue_turns;
#[cfg(test)]
mod race_ends;
#[cfg(test)]
mod race_forgeries;
#[cfg(test)]
mod race_rules;
mod races;
#[cfg(test)]
mod read_to_write;
#[cfg(test)]
mod reconcile_calls;
#[cfg(test)]
mod reconcile_paused;
#[cfg(test)]
mod reconcile_profiles;
#[cfg(test)]
mod reconcile_trouble;
#[cfg(test)]
mod record_hints;
#[cfg(test)]
mod restores;
#[cfg(test)]
mod retractions;
mod rules_across_releases;
mod rules_file;
#[cfg(test)]
mod rules_hang;
mod rules_in_force;
#[cfg(test)]
mod rules_many;
#[cfg(test)]
mod rules_over_time;
#[cfg(test)]
mod second_writer;
mod secret_files;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shared_postgres;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod stream_full;
#[cfg(test)]
mod sweep_bounds;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod tenant_binding;
mod tenant_recordings;
#[cfg(test)]
mod term_ends;
#[cfg(test)]
mod trimming;
#[cfg(test)]
mod user_login;
mod walk;
mod webhook;
#[cfg(test)]
mod webhook_floods;
#[cfg(test)]
mod webhook_forms;
#[cfg(test)]
mod webhook_memory;
