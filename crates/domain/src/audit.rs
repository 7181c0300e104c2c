//! The audit rows of one attempt: which open rows the profile shows as done, which one a plan continues, and which are void.
//!
//! Owns that a change has at most one open row. Must never complete a row whose change no profile shows.

use uuid::Uuid;

use crate::plan::{Plan, RoleChange, SeenRoles};
use crate::snapshot::OpenChange;

/// The row of one change of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    /// The change is decided already, and is attempted again.
    Again(Uuid),
    /// It gets a new row.
    New(&'a str, RoleChange),
}

/// The rows of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows<'a> {
    /// One for each change, in the order of the plan.
    pub of_plan: Vec<Row<'a>>,
    /// Open rows that the plan does not continue.
    pub superseded: Vec<Uuid>,
}

/// The open rows that a profile shows as done, and the others.
#[must_use]
pub fn by_profile<'a>(
    open: &'a [OpenChange],
    seen: &SeenRoles,
) -> (Vec<&'a OpenChange>, Vec<&'a OpenChange>) {
    open.iter().partition(|open| seen.has(&open.role) == open.granted)
}

/// The rows of `plan`, where these open changes are not done. With writes off an open change will not be written, so it is
/// superseded.
#[must_use]
pub fn rows<'a>(plan: &'a Plan, not_done: &[&OpenChange], writes: bool) -> Rows<'a> {
    let mut superseded: Vec<Uuid> = not_done.iter().map(|open| open.id).collect();
    let of_plan = plan.changes().iter().map(|(role, change)| {
        let same = |open: &&&OpenChange| open.role == *role && RoleChange::to(open.granted) == *change;
        match not_done.iter().find(same).filter(|_| writes) {
            Some(open) => {
                superseded.retain(|id| *id != open.id);
                Row::Again(open.id)
            }
            None => Row::New(role, *change),
        }
    });
    let of_plan = of_plan.collect();
    Rows { of_plan, superseded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Want, plan};

    fn open(id: u128, role: &str, granted: bool) -> OpenChange {
        OpenChange {
            id: Uuid::from_u128(id),
            role: role.to_owned(),
            granted,
            restore: false,
        }
    }

    #[test]
    fn a_plan_continues_its_open_row_and_ends_the_others() {
        let changes = [
            open(1, "editor", true),
            open(2, "editor", false),
            open(3, "other", true),
        ];
        let seen = SeenRoles::List(vec!["other".to_owned()]);
        let (done, not_done) = by_profile(&changes, &seen);
        let ids = |of: &[&OpenChange]| of.iter().map(|open| open.id.as_u128()).collect::<Vec<_>>();
        assert_eq!((ids(&done), ids(&not_done)), (vec![2, 3], vec![1]));
        let want = Want {
            role: "editor",
            wanted: true,
            adopted: true,
        };
        let plan = plan(&seen, &[want]).expect("a list");
        let all: Vec<&OpenChange> = changes.iter().collect();
        let of = |writes| {
            let Rows { of_plan, superseded } = rows(&plan, &all, writes);
            let superseded: Vec<u128> = superseded.iter().map(Uuid::as_u128).collect();
            (of_plan, superseded)
        };
        assert_eq!(of(true), (vec![Row::Again(Uuid::from_u128(1))], vec![2, 3]));
        assert_eq!(
            of(false),
            (vec![Row::New("editor", RoleChange::Granted)], vec![1, 2, 3])
        );
    }
}
