//! A worker dies behind each effect, and the next one continues.
//!
//! Owns that every crash point of the source is reached by a story of this folder. A story is traffic that passes its points; the
//! table says which.

mod api;
mod attempts;
mod counts;
mod losses;
mod moves;
mod operators;
mod outside;
mod persons;
mod roles;
mod rows;
mod run;
mod starts;
mod streams;
mod table;
mod tenants;
mod timers;
