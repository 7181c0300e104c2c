//! The marks of held users in the work queue.
//!
//! Owns which marks stand for one kind of changes. Must never hold a user itself.

use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;

/// Marks of users held by one brake, and of those held by both.
pub(super) fn marks(change: RoleChange) -> [&'static str; 2] {
    [HeldBy::Brake(change), HeldBy::BothBrakes].map(HeldBy::as_str)
}
