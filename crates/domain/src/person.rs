//! A person: an account at Auth0 with the ids that are linked to it.
//!
//! Owns the comparison of the stored ids with those that a profile shows, and that an id which the operator moved counts as shown.
//! Must never treat a record as a link: only a profile of the primary shows one.

/// The stored links of one id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The primary, if the id itself is linked to another one.
    pub alias_of: Option<String>,
    /// Ids that are linked to it.
    pub aliases: Vec<String>,
    /// Ids that the operator moved to it, or to an id that is linked to it.
    pub moved: Vec<String>,
    /// The operator moved the id itself to another one: a profile of it shows that the move has ended.
    pub moved_away: bool,
    /// A record, a token or the operator says that one of these links has ended.
    pub doubted: bool,
}

/// The difference between stored and shown links of a primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relinked {
    /// Ids that are shown and not stored, in order.
    pub linked: Vec<String>,
    /// Ids that are stored and no longer shown, in order.
    pub unlinked: Vec<String>,
}

impl Person {
    /// Whether the links have to be stored again after a profile has shown these ids.
    #[must_use]
    pub fn differs(&self, shown: &[&str]) -> bool {
        self.doubted || self.moved_away || self.relinked(shown) != Relinked::default()
    }

    /// Compares the stored ids with those that a profile shows.
    #[must_use]
    pub fn relinked(&self, shown: &[&str]) -> Relinked {
        let moved = self.moved.iter().map(String::as_str);
        let all: Vec<&str> = shown.iter().copied().chain(moved).collect();
        relinked(&self.aliases, &all)
    }
}

/// Compares stored with shown ids.
#[must_use]
pub fn relinked(stored: &[String], shown: &[&str]) -> Relinked {
    let mut linked: Vec<String> = shown
        .iter()
        .filter(|id| !stored.iter().any(|stored| stored == **id))
        .map(|id| (*id).to_owned())
        .collect();
    linked.sort_unstable();
    linked.dedup();
    let unlinked = stored.iter().filter(|id| !shown.contains(&id.as_str()));
    let mut unlinked: Vec<String> = unlinked.cloned().collect();
    unlinked.sort_unstable();
    Relinked { linked, unlinked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_and_shown_ids_are_compared_in_any_order() {
        let stored = ["b".to_owned(), "a".to_owned()];
        assert_eq!(relinked(&stored, &["a", "b"]), Relinked::default());
        let relinked = relinked(&stored, &["d", "a", "c", "c"]);
        assert_eq!(
            (relinked.linked, relinked.unlinked),
            (vec!["c".to_owned(), "d".to_owned()], vec!["b".to_owned()])
        );
        let person = Person {
            aliases: stored.to_vec(),
            ..Person::default()
        };
        assert!(!person.differs(&["b", "a"]));
        assert!(person.differs(&["b"]));
        let moved = Person {
            moved: vec!["a".to_owned()],
            ..person.clone()
        };
        assert!(!moved.differs(&["b"]) && moved.differs(&["a"]));
        let away = Person {
            moved_away: true,
            ..person.clone()
        };
        assert!(away.differs(&["b", "a"]));
        assert!(
            Person {
                doubted: true,
                ..person
            }
            .differs(&["b", "a"])
        );
    }
}
