//! Checks the chain from change to change.
//!
//! Owns what makes a link: the position, the hash before, the content and the user. Serves the rows of the audit as well as the
//! lines of a file.

use super::lines::Line;
use super::place::{Place, hash_at};
use super::record::{digest, user_hash};

/// The reason why a change does not belong where it stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Positions are missing, or in another order.
    #[error(
        "position {expected} of the chain is expected here, and {found} is found: a change was removed, added or moved"
    )]
    Position {
        /// The next position.
        expected: i64,
        /// Its own.
        found: i64,
    },
    /// The hash before it is another one.
    #[error("its previous hash is not that of the change before it: one of them was changed or moved")]
    Previous,
    /// The content does not have the hash.
    #[error("its content does not have its hash: it was changed")]
    Content,
    /// The user id does not have the hash.
    #[error("its user id does not have the hash of the user: it was changed")]
    User,
    /// The line says neither content nor digest, or both.
    #[error("it has neither a record nor a digest, or both")]
    Empty,
}

/// Follows the chain.
#[derive(Clone, Debug, Default)]
pub struct Links {
    last: Option<Place>,
}

impl Links {
    /// Follows the chain behind a place; without one from the first change on, wherever it stands.
    #[must_use]
    pub fn behind(last: Option<Place>) -> Self {
        Self { last }
    }

    /// The place of the last change.
    #[must_use]
    pub fn last(&self) -> Option<Place> {
        self.last
    }

    /// Takes the next change, and continues behind it in any case.
    ///
    /// # Errors
    /// It does not follow the change before it, or was changed.
    pub fn follow(&mut self, line: &Line) -> Result<(), Broken> {
        let last = self.last.replace(line.place());
        if let Some(last) = last {
            let expected = last.position.saturating_add(1);
            if line.position != expected {
                return Err(Broken::Position {
                    expected,
                    found: line.position,
                });
            }
            if line.previous != last.hash {
                return Err(Broken::Previous);
            }
        }
        let content = match (&line.record, line.digest) {
            (Some(record), None) => digest(record),
            (None, Some(digest)) => digest,
            _ => return Err(Broken::Empty),
        };
        if hash_at(line.position, line.previous, content) != line.hash {
            return Err(Broken::Content);
        }
        if is_user_of(line) {
            Ok(())
        } else {
            Err(Broken::User)
        }
    }
}

/// Whether the user id is the one that was hashed. The id of an erased user is no longer known.
fn is_user_of(line: &Line) -> bool {
    let Some(record) = &line.record else {
        return line.user_id.is_none() && line.salt.is_none();
    };
    match (&line.user_id, line.salt) {
        (Some(user), Some(salt)) => record["user"] == user_hash(salt, user).to_string(),
        (Some(_), None) => line.is_erased(),
        (None, _) => false,
    }
}
