//! Differences between lists of roles.
//!
//! Owns the comparison of lists. It uses sorted sets, since a list may have hundreds of roles and hundreds of lists are
//! compared. Must never change the order of entries that stay.

use std::collections::BTreeSet;

/// The roles of one list, managed roles apart from entries of other clients.
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

    /// Number of entries of other clients that differ.
    pub(super) fn steps_to(&self, after: &Self) -> usize {
        self.foreign.symmetric_difference(&after.foreign).count()
    }

    fn has(&self, role: &str) -> bool {
        self.foreign.contains(role) || self.owned.contains(role)
    }
}

/// `now` with the entries of other clients as `intended`; `None` if nothing changes. Restored entries come first: other
/// clients append, so their next write shows whether they had read the restored ones.
pub(super) fn restored(now: &[String], intended: &[&str], owned: &[&str]) -> Option<Vec<String>> {
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

/// Whether `after` is `before` with entries removed and others appended, which is how most clients write.
pub(super) fn follows(before: &[String], after: &[String], split: &Split<'_>) -> bool {
    let kept: Vec<&String> = before.iter().filter(|role| split.has(role)).collect();
    kept.len() <= after.len() && kept.iter().zip(after).all(|(kept, role)| *kept == role)
}

/// The entries of other clients: `entries` after the change from `before` to `roles`, given with its split.
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

/// The entries of other clients after a write of ours that left the list as `split` and changed these roles, managed at
/// that time.
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
