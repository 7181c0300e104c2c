//! The chain of hashes over completed role changes, and the file that an auditor gets.
//!
//! Owns what is hashed, and how: each hash follows from the position, the hash before it and the content of the change, so that a
//! changed, removed or moved change shows. Every hash is SHA-256 of a text that other programs can make too. Must never hash a
//! user id without its salt: the hash stays after an erasure, and an id can be guessed.

mod lines;
mod links;
mod place;
mod record;
mod sample;
mod verify;

#[cfg(test)]
mod tests;

pub use crate::hash::{Hash, Salt};
pub use lines::{End, FORMAT, Header, Line, OfOperator};
pub use links::{Broken, Links};
pub use place::{Place, START};
pub use record::{Chained, Completed, digest, user_hash};
pub use sample::{MOST_SAMPLED, sampled};
pub use verify::{Fault, Verified, Verifier};
