//! How a managed role got its current state.
//!
//! Owns the distinction between a deliberate change and a write based on an older state. Must never treat as ours a
//! role that another client granted on purpose.

use super::version::{By, OurWrite, Version};

/// Managed roles where another client's write, based on an older state, reverted our change.
pub(super) fn reverted(owned: &[&str], versions: &[Version<'_>]) -> Vec<String> {
    let is_reverted = |role: &str| {
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
    let reverted = owned.iter().filter(|role| is_reverted(role).is_some());
    reverted.map(|role| (*role).to_owned()).collect()
}

/// Managed roles set by a write of ours, with its index, that no attempt has recorded.
pub(super) fn late(owned: &[&str], ours: &[OurWrite], versions: &[Version<'_>]) -> Vec<(String, usize)> {
    let late = |role: &&str| {
        let By::Us(place) = versions[last_changed(versions, role)?].by else {
            return None;
        };
        (!ours[place].recorded).then(|| ((*role).to_owned(), place))
    };
    owned.iter().filter_map(late).collect()
}

/// Index of the version since which the role is as in the last one; `None` if it was never different.
fn last_changed(versions: &[Version<'_>], role: &str) -> Option<usize> {
    let mut changes = versions.windows(2);
    let before = changes.rposition(|two| two[0].holds(role) != two[1].holds(role))?;
    Some(before + 1)
}

impl Version<'_> {
    fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|one| one == role)
    }
}
