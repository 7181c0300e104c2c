//! `rolekeeper discover`: all holders at Auth0, also those who never log in.

mod export;
mod facts;
mod interrupted;
mod search;
