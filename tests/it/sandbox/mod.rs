//! The sandbox itself: its servers leave nothing behind, and its tenant behaves as Auth0 does.

mod leftovers;
mod official_clients;
mod recordings;
mod user_login;
