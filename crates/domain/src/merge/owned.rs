//! Why an owned role is as it is.
//!
//! Owns telling what somebody meant from what a write did that rested on an older state. Must never take a role for ours
//! that another client gave on purpose.

use super::{By, OurWrite, Version};

/// Owned roles of which a write of theirs undid our change, resting on what was before it.
pub(super) fn undone(owned: &[&str], versions: &[Version<'_>]) -> Vec<String> {
    let is_undone = |role: &str| {
        let changed = last_changed(versions, role)?;
        let otherwise = |version: &Version<'_>| version.holds(role) != versions[changed].holds(role);
        let before = versions[..changed - 1]
            .iter()
            .rposition(|version| !otherwise(version))?;
        let By::Them(Some(base)) = versions[changed].by else {
            return None;
        };
        (matches!(versions[before + 1].by, By::Us(_)) && !otherwise(&versions[base])).then_some(())
    };
    let undone = owned.iter().filter(|role| is_undone(role).is_some());
    undone.map(|role| (*role).to_owned()).collect()
}

/// Owned roles that a write of ours made what they are, with its place, of which nobody has recorded that.
pub(super) fn late(owned: &[&str], ours: &[OurWrite], versions: &[Version<'_>]) -> Vec<(String, usize)> {
    let late = |role: &&str| {
        let By::Us(place) = versions[last_changed(versions, role)?].by else {
            return None;
        };
        (!ours[place].recorded).then(|| ((*role).to_owned(), place))
    };
    owned.iter().filter_map(late).collect()
}

/// The version from which on a role is as it is in the last one; none if it never was otherwise.
fn last_changed(versions: &[Version<'_>], role: &str) -> Option<usize> {
    let now = versions.last()?.holds(role);
    let otherwise = versions.iter().rposition(|version| version.holds(role) != now)?;
    Some(otherwise + 1)
}

impl Version<'_> {
    fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|one| one == role)
    }
}
