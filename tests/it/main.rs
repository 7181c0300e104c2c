//! The real binary against real servers and a stand-in tenant, and the rules of the house.
//!
//! In reading order: [`world`] is where a story is told, [`events`] what app servers say in it, [`oracle`] what
//! must come of it, [`proxy`] what breaks in between. The other modules are the stories, by subject.

// `cfg(test)` is always set here; it tells clippy that helpers are tests too.
#[cfg(test)]
mod events;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod world;

mod announce;
mod auth0_client;
#[cfg(test)]
mod client_key;
mod floors;
mod fold_counts;
mod fold_exactly_once;
mod lost_grants;
mod official_clients;
mod parked;
mod races;
mod tenant_recordings;
