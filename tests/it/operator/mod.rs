//! What an operator sets, sees and orders: settings, rules, brakes, commands, metrics.

mod acts;
mod adopt;
mod brake;
mod brake_cost;
mod brake_memory;
mod brake_release;
mod brake_slices;
mod client_key;
mod config;
mod config_empty;
mod drain;
mod discover;
mod erase;
mod erase_letters;
mod least_rights;
mod limits;
mod migrate;
mod nats;
mod old_database;
mod ops;
mod parked;
mod pins;
mod rules;
mod secret_files;
mod tenant_binding;
