//! The circuit breaker: stops the stage when responses say nothing about single users.
//!
//! Owns the judgement whether failures concern one user or all: no token, a missing scope, or one kind of refusal for
//! different users in a row. Must never open for failures of one user alone, and never forget which users failed before
//! it opened: they are due again once it closes.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use rolekeeper_domain::pacer::CallKind;

/// Different users refused in a row, for one reason and without another response in between, after which the tenant and
/// not the users is taken to be at fault.
const REFUSED_IN_A_ROW: usize = 5;
/// An accepted call this recent shows that the tenant accepts our calls.
const ACCEPTED_JUST_NOW: Duration = Duration::from_secs(10);
/// Refusals further apart do not count as consecutive: a few users are refused from time to time for reasons of their
/// own.
const STREAK_ENDS_AFTER: Duration = Duration::from_mins(10);
/// Limit of users remembered as requeued; users parked before the breaker opened are far fewer.
const MOST_WOKEN: usize = 1_000;
/// The failure code of users that were requeued because the stage had to stop.
pub(super) const STOPPED: &str = "stopped";

/// Consecutive failures of one kind of call.
#[derive(Debug)]
struct Streak {
    code: String,
    users: BTreeSet<String>,
    since: Instant,
    last: Instant,
}

/// The breaker is open: the stage makes no calls apart from probes.
#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    probes: u32,
    /// No token could be obtained: any response closes the breaker.
    token: bool,
    /// The kind of call that failed: an accepted call of this kind closes the breaker.
    kind: CallKind,
    codes: BTreeSet<String>,
    /// Time of the first of these failures.
    failing_since: Instant,
    /// Users that failed and have not succeeded since; the breaker closes once this is empty.
    users: HashSet<String>,
}

/// The failures whose users are requeued when the breaker closes.
#[derive(Debug)]
pub(super) struct Closing {
    /// The failure codes.
    pub(super) codes: Vec<String>,
    /// Time since the first of these failures.
    pub(super) failing_for: Duration,
}

/// The breaker of one stage.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    open: Option<Open>,
    reads: Option<Streak>,
    writes: Option<Streak>,
    /// Users requeued at the last close: a new failure of theirs is their own.
    woken: HashSet<String>,
    accepted: Option<(String, Instant)>,
    /// The priority of the user taken last.
    taken: i16,
}

impl CircuitBreaker {
    /// Time of the next probe; none while the breaker is closed.
    pub(super) fn open_until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// Notes that a user of this priority was taken.
    pub(super) fn taken(&mut self, priority: i16) {
        self.taken = priority;
    }

    /// The priority with which the next probe begins: the one after the priority of the last probe.
    pub(super) fn next_probe(&self) -> i16 {
        self.taken + 1
    }

    /// Number of failed probes.
    pub(super) fn probes(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.probes)
    }

    /// Whether the breaker is open and an attempt that `began` then is none of its probes. An earlier attempt neither
    /// closes nor prolongs it.
    fn is_before(&self, began: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| began < open.since)
    }

    /// Whether another user's call was accepted just now.
    pub(super) fn accepts_others(&self, user: &str) -> bool {
        self.accepted
            .as_ref()
            .is_some_and(|(other, at)| other != user && at.elapsed() < ACCEPTED_JUST_NOW)
    }

    /// Notes that the last call of an attempt at `user` was accepted; `done` says whether the attempt completed.
    /// Returns what has to be done to close the breaker, if it can close.
    pub(super) fn accepted(
        &mut self,
        user: &str,
        began: Instant,
        kind: CallKind,
        done: bool,
    ) -> Option<Closing> {
        if self.is_before(began) {
            return None;
        }
        self.accepted = Some((user.to_owned(), Instant::now()));
        if done {
            self.woken.remove(user);
        }
        self.reads = None;
        if kind == CallKind::Write {
            self.writes = None;
        }
        let open = self.open.as_mut()?;
        if done {
            open.users.remove(user);
        }
        let closes =
            open.token || open.kind == CallKind::Read || kind == CallKind::Write || open.users.is_empty();
        closes.then(|| self.closing()).flatten()
    }

    /// The users for whom the breaker stays open after accepted reads.
    pub(super) fn failed_users(&self) -> Vec<String> {
        let open = self.open.iter().filter(|open| !open.token);
        open.flat_map(|open| open.users.iter().cloned()).collect()
    }

    /// Forgets these users, unless they are still `queued`: an erased user never succeeds.
    pub(super) fn forget(&mut self, users: &[String], queued: &HashSet<String>) {
        if let Some(open) = self.open.as_mut() {
            let left = |user: &String| users.contains(user) && !queued.contains(user);
            open.users.retain(|user| !left(user));
        }
    }

    /// Notes that Auth0 responded to a call, with any response: there is a token.
    pub(super) fn answered(&self, began: Instant) -> Option<Closing> {
        let token = self.open.as_ref().is_some_and(|open| open.token);
        (token && !self.is_before(began))
            .then(|| self.closing())
            .flatten()
    }

    fn closing(&self) -> Option<Closing> {
        let open = self.open.as_ref()?;
        let codes = open.codes.iter().cloned().chain([STOPPED.to_owned()]);
        Some(Closing {
            codes: codes.collect(),
            failing_for: open.failing_since.elapsed(),
        })
    }

    /// Closes the breaker; `woken` were requeued. Users of an earlier close that have not succeeded since stay
    /// remembered.
    pub(super) fn close(&mut self, woken: Vec<String>) {
        let before = std::mem::take(&mut self.woken);
        *self = Self {
            woken: woken.into_iter().chain(before).take(MOST_WOKEN).collect(),
            accepted: self.accepted.take(),
            ..Self::default()
        };
    }

    /// Notes that a call of `user` failed with `code`. Returns the number of users once so many failed in a row that
    /// the tenant must be the cause.
    pub(super) fn refused(&mut self, user: &str, kind: CallKind, code: &str) -> Option<usize> {
        if self.woken.contains(user) {
            return None;
        }
        let streak = match kind {
            CallKind::Read => &mut self.reads,
            CallKind::Write => &mut self.writes,
        };
        let ended = |streak: &Streak| streak.code != code || streak.last.elapsed() > STREAK_ENDS_AFTER;
        let now = Instant::now();
        if streak.as_ref().is_none_or(ended) {
            *streak = Some(Streak {
                code: code.to_owned(),
                users: BTreeSet::new(),
                since: now,
                last: now,
            });
        }
        let streak = streak.as_mut()?;
        streak.last = now;
        streak.users.insert(user.to_owned());
        (streak.users.len() >= REFUSED_IN_A_ROW).then_some(streak.users.len())
    }

    /// Opens the breaker, or keeps it open after a failed probe. Returns whether it was closed before.
    pub(super) fn trip(&mut self, user: &str, began: Instant, stop: &Stop, probe_after: Duration) -> bool {
        let now = Instant::now();
        let before = self.is_before(began);
        let streak = match stop.kind {
            CallKind::Read => &self.reads,
            CallKind::Write => &self.writes,
        };
        let failing_since = streak.as_ref().map_or(now, |streak| streak.since);
        let closed = self.open.is_none();
        let open = self.open.get_or_insert_with(|| Open {
            since: now,
            until: now + probe_after,
            probes: 0,
            token: stop.token,
            kind: stop.kind,
            codes: BTreeSet::new(),
            failing_since,
            users: HashSet::new(),
        });
        open.users.insert(user.to_owned());
        open.codes.extend(stop.code.clone());
        if !before {
            open.until = now + probe_after;
            open.probes += 1;
        }
        closed
    }
}

/// The reason why the stage stops.
#[derive(Debug)]
pub(super) struct Stop {
    /// No token could be obtained.
    pub(super) token: bool,
    /// The kind of call that failed.
    pub(super) kind: CallKind,
    /// The code that the failures share.
    pub(super) code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(breaker: &mut CircuitBreaker, users: &[&str], code: &str) -> bool {
        let mut opened = false;
        for user in users {
            opened |= breaker.refused(user, CallKind::Write, code).is_some();
        }
        opened
    }

    #[tokio::test]
    async fn f50_different_users_in_a_row_with_one_code_are_the_tenant() {
        let mut breaker = CircuitBreaker::default();
        assert!(!refused(&mut breaker, &["a"; 20], "402"), "one user");
        assert!(!refused(&mut breaker, &["b", "c", "d"], "402"));
        assert!(!refused(&mut breaker, &["e"], "400"), "another code");
        assert!(refused(&mut breaker, &["a", "b", "c", "d"], "400"));
    }

    #[tokio::test]
    async fn f50_what_is_accepted_ends_the_row_of_its_kind() {
        let mut breaker = CircuitBreaker::default();
        let accept =
            |breaker: &mut CircuitBreaker, kind| breaker.accepted("z", Instant::now(), kind, true).is_some();
        assert!(!refused(&mut breaker, &["a", "b", "c", "d"], "402"));
        assert!(!accept(&mut breaker, CallKind::Read));
        assert!(
            refused(&mut breaker, &["e"], "402"),
            "an accepted read proves nothing about writes"
        );
        let stop = Stop {
            token: false,
            kind: CallKind::Write,
            code: Some("402".to_owned()),
        };
        assert!(breaker.trip("e", Instant::now(), &stop, Duration::ZERO));
        assert!(!accept(&mut breaker, CallKind::Read));
        assert!(accept(&mut breaker, CallKind::Write));
        breaker.close(vec!["a".to_owned()]);
        assert!(
            !refused(&mut breaker, &["a", "b", "c", "d", "e"], "402"),
            "a was requeued"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_far_apart_are_not_in_a_row() {
        let mut breaker = CircuitBreaker::default();
        assert!(!refused(&mut breaker, &["a", "b", "c", "d"], "400"));
        tokio::time::advance(STREAK_ENDS_AFTER + Duration::from_secs(1)).await;
        assert!(!refused(&mut breaker, &["e", "f", "g", "h"], "400"));
        assert!(refused(&mut breaker, &["i"], "400"));
    }

    #[tokio::test]
    async fn a_read_alone_closes_no_breaker_of_writes() {
        let mut breaker = CircuitBreaker::default();
        let stop = Stop {
            token: false,
            kind: CallKind::Write,
            code: Some("400".to_owned()),
        };
        for user in ["a", "b"] {
            breaker.trip(user, Instant::now(), &stop, Duration::ZERO);
        }
        let mut reads = |user, done| {
            let closing = breaker.accepted(user, Instant::now(), CallKind::Read, done);
            closing.is_some()
        };
        assert!(!reads("a", false) && !reads("z", true) && !reads("a", true));
        assert!(reads("b", true), "each failed user has succeeded");
        for user in ["a", "b"] {
            breaker.trip(user, Instant::now(), &stop, Duration::ZERO);
        }
        let failed = breaker.failed_users();
        breaker.forget(&failed, &HashSet::from(["a".to_owned()]));
        let mut reads = |user, done| {
            let closing = breaker.accepted(user, Instant::now(), CallKind::Read, done);
            closing.is_some()
        };
        assert!(!reads("z", true), "a is still queued");
        assert!(reads("a", true), "b was erased");
        breaker.close(vec!["a".to_owned()]);
        breaker.accepted("a", Instant::now(), CallKind::Read, false);
        assert!(breaker.woken.contains("a"));
    }
}
