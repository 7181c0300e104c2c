//! Steps from one list of roles to another.
//!
//! Owns the comparing of lists, by sorted sets: a list may have hundreds of roles, and hundreds of lists are compared. Must
//! never change the order of entries that stay.

use std::collections::BTreeSet;

/// The roles of a list, those of ours apart from those of others.
#[derive(Debug, Default)]
pub(super) struct Split<'a> {
    pub(super) owned: BTreeSet<&'a str>,
    foreign: BTreeSet<&'a str>,
}

impl<'a> Split<'a> {
    pub(super) fn of(roles: &'a [String], owned: &[&str]) -> Self {
        let (owned, foreign) = roles
            .iter()
            .map(String::as_str)
            .partition(|role| owned.contains(role));
        Self { owned, foreign }
    }

    /// How many entries of others differ.
    pub(super) fn steps_to(&self, after: &Self) -> usize {
        self.foreign.symmetric_difference(&after.foreign).count()
    }

    fn has(&self, role: &str) -> bool {
        self.foreign.contains(role) || self.owned.contains(role)
    }
}

/// `now` with the entries of others as they were intended: what they took away goes, what they added comes
/// back. None if that changes nothing. What comes back stands first: others append, so what they write next shows
/// whether they had read it.
pub(super) fn mended(now: &[String], intended: &[&str], owned: &[&str]) -> Option<Vec<String>> {
    let (held, meant): (BTreeSet<&str>, BTreeSet<&str>) = (
        now.iter().map(String::as_str).collect(),
        intended.iter().copied().collect(),
    );
    let stays = |role: &&str| owned.contains(role) || meant.contains(role);
    let missing = intended.iter().copied().filter(|role| !held.contains(role));
    let after = missing.chain(now.iter().map(String::as_str).filter(stays));
    let after: Vec<String> = after.map(str::to_owned).collect();
    (after != now).then_some(after)
}

/// Whether `after`, that splits so, is `before` with entries taken out and others appended, which is how most clients write.
pub(super) fn follows(before: &[String], after: &[String], split: &Split<'_>) -> bool {
    let kept: Vec<&String> = before.iter().filter(|role| split.has(role)).collect();
    kept.len() <= after.len() && kept.iter().zip(after).all(|(kept, role)| *kept == role)
}

/// Entries of others: `entries` after the step from `before` to `roles`, that split so.
pub(super) fn moved<'a>(
    entries: &[&'a str],
    before: &Split<'_>,
    (after, roles): (&Split<'a>, &'a [String]),
) -> Vec<&'a str> {
    let gone = |role: &&str| before.has(role) && !after.has(role);
    let mut moved: Vec<&str> = entries.iter().copied().filter(|role| !gone(role)).collect();
    let mut stand: BTreeSet<&str> = moved.iter().copied().collect();
    for role in roles.iter().map(String::as_str) {
        if after.foreign.contains(role) && !before.has(role) && stand.insert(role) {
            moved.push(role);
        }
    }
    moved
}

/// Entries of others after a write of ours that changed these roles, which were managed then, and left the list so.
pub(super) fn stepped<'a>(
    mut entries: Vec<&'a str>,
    changed: impl Iterator<Item = &'a str>,
    after: &Split<'_>,
) -> Vec<&'a str> {
    for role in changed {
        let stands = entries.contains(&role);
        if !after.has(role) {
            entries.retain(|one| *one != role);
        } else if !stands {
            entries.push(role);
        }
    }
    entries
}
