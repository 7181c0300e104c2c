//! The real binary against real servers and a stand-in tenant, and the rules of the project.
//!
//! In reading order: [`world`] is the place of a story: servers, workers, messages of app servers, and the oracle that
//! computes the expected result. The other folders are the stories, by subject; [`house`] checks the text of the project
//! and starts nothing.

// Always set here; with it clippy treats helpers as tests.
#![cfg(test)]

mod world;

mod fold;
mod reconcile;

mod http;
mod operator;
mod persons;

mod deploy;
mod faults;

mod house;
mod sandbox;
