//! The next step after the races of a history.
//!
//! Owns when a role of another client may be restored. Must never restore because of a record that Auth0 has not confirmed.

use super::History;
use crate::merge::{Pair, Resolution, State};

/// The next step about the races of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A record, or its confirmation, is awaited.
    Wait,
    /// No entry of another client has to change.
    Conclude,
    /// The whole list of roles as it should be.
    Restore(&'a [String]),
}

/// The judgement about the races of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The races that it is about.
    pub racing: Vec<Pair>,
    /// Records that Auth0 must confirm first.
    pub ask: Vec<&'a str>,
    /// The next step.
    pub next: Next<'a>,
}

impl History {
    /// Judges races that Auth0 can confirm. `overdue`: a missing record is no longer waited for.
    #[must_use]
    pub fn judge<'a>(
        &'a self,
        resolution: &'a Resolution,
        overdue: bool,
        (owned, now): (&[&str], &State),
    ) -> Judged<'a> {
        let mut racing = resolution.races.clone();
        let Some(roles) = &resolution.restored_roles else {
            // A forged record may hide a lost change: by being the one that seems lost, or by a later write that no client made.
            let mut ask = self.doubtful(&racing, owned, now);
            if ask.is_empty() && racing.iter().any(|pair| self.lost(*pair, owned, now)) {
                ask = self.open_since(resolution.since);
            }
            let next = if ask.is_empty() {
                Next::Conclude
            } else {
                Next::Wait
            };
            return Judged { racing, ask, next };
        };
        if racing.is_empty() {
            // An already settled race may have been undone since by a write that did not know of it.
            racing.extend(self.settled_last());
        }
        let ask = self.unconfirmed(resolution, &racing);
        // A later change of the profile than the last known write: its record is waited for.
        let complete = resolution.still || overdue;
        let next = if ask.is_empty() && complete {
            Next::Restore(roles)
        } else {
            Next::Wait
        };
        Judged { racing, ask, next }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::history::{KnownRaces, Theirs};
    use crate::merge::{OurWrite, Window};

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn state(second: i64, roles: &[&str]) -> State {
        State {
            at: NOON + time::Duration::seconds(second),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        }
    }

    fn record(name: &str, state: State, confirmed: bool) -> Theirs {
        Theirs {
            record: name.to_owned(),
            state,
            log_id: Some(name.to_owned()),
            client: None,
            confirmed,
        }
    }

    #[test]
    fn a_later_record_that_auth0_does_not_know_hides_no_lost_role() {
        let (read, wrote) = (state(0, &[]), state(10, &["editor"]));
        let ours = OurWrite {
            window: Some(Window::between(read.at, wrote.at)),
            read,
            wrote: wrote.clone(),
            managed: vec!["editor".to_owned()],
            resolved_since: None,
            recorded: true,
        };
        let ours = [(Uuid::nil(), ours)];
        let judged = |later: Option<bool>| {
            let mut theirs = vec![record("added", state(4, &["supporter"]), true)];
            theirs.extend(later.map(|confirmed| record("removed", state(6, &[]), confirmed)));
            let history = History::new(&ours, theirs, &KnownRaces::default(), None);
            let resolution = history.resolve(&["editor"], &wrote);
            let Judged { ask, next, .. } = history.judge(&resolution, false, (&["editor"], &wrote));
            (
                ask.join(" "),
                matches!(next, Next::Restore(_)),
                next == Next::Conclude,
            )
        };
        assert_eq!(judged(None), (String::new(), true, false), "it is restored");
        assert_eq!(
            judged(Some(false)),
            ("removed".to_owned(), false, false),
            "it waits"
        );
        assert_eq!(
            judged(Some(true)),
            (String::new(), false, true),
            "it was removed again"
        );
    }
}
