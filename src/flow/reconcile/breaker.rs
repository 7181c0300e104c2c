//! The circuit breaker: stops the stage when answers say nothing of single users.
//!
//! Owns the judgement whether failures are about a user or about all: no token, a scope that is missing, or one kind of
//! refusal for different users in a row. Must never open for what one user alone meets, and never forget which users failed
//! before it opened: they are due again once it closes.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use rolekeeper_domain::pacer::Kind;

/// Different users that are refused in a row, for one reason and with no other answer between, before the tenant and not the
/// users are taken to be at fault.
const REFUSED_IN_A_ROW: usize = 5;
/// An accepted call this young shows that the tenant takes our calls.
const ACCEPTED_JUST_NOW: Duration = Duration::from_secs(10);
/// Refusals that are further apart are not in a row: few users are refused for what is theirs, now and then.
const STREAK_ENDS_AFTER: Duration = Duration::from_mins(10);
/// Users that are remembered as woken; those parked before it opened are far fewer.
const MOST_WOKEN: usize = 1_000;
/// The failure of users that were put back because the stage had to stop.
pub(super) const STOPPED: &str = "stopped";

/// Failures in a row of one kind of call.
#[derive(Debug)]
struct Streak {
    code: String,
    users: BTreeSet<String>,
    since: Instant,
    last: Instant,
}

/// The breaker is open: the stage rests, but for probes.
#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    probes: u32,
    /// No token could be had: any answer closes it.
    token: bool,
    /// The kind of call that failed: one that is accepted closes it.
    kind: Kind,
    codes: BTreeSet<String>,
    /// When the first of these failures was.
    failing_since: Instant,
    /// Users that failed and have not been right since; once there is none, it closes.
    users: HashSet<String>,
}

/// What to make due again when the breaker closes.
#[derive(Debug)]
pub(super) struct Closing {
    /// The failures.
    pub(super) codes: Vec<String>,
    /// How long ago the first of them was.
    pub(super) failing_for: Duration,
}

/// One stage's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: Option<Open>,
    reads: Option<Streak>,
    writes: Option<Streak>,
    /// Made due again when it last closed: if they fail once more it is their own fault.
    woken: HashSet<String>,
    accepted: Option<(String, Instant)>,
    /// The urgency of the user that was taken in hand last.
    taken: i16,
}

impl Breaker {
    /// When the next probe may be made; none while it is closed.
    pub(super) fn until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// A user of this urgency was taken in hand.
    pub(super) fn taken(&mut self, urgency: i16) {
        self.taken = urgency;
    }

    /// The urgency to begin the next probe with: the one after that of the last.
    pub(super) fn next_probe(&self) -> i16 {
        self.taken + 1
    }

    /// Probes that have failed.
    pub(super) fn probes(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.probes)
    }

    /// Whether it is open and a look that `began` then is none of its probes: such a look neither closes nor prolongs it.
    fn is_before(&self, began: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| began < open.since)
    }

    /// Another user's call was accepted just now.
    pub(super) fn accepts_others(&self, user: &str) -> bool {
        self.accepted
            .as_ref()
            .is_some_and(|(other, at)| other != user && at.elapsed() < ACCEPTED_JUST_NOW)
    }

    /// The last call of a look at `user` was accepted, which is `done` when it came to its end. Answers what has to be done for
    /// the breaker to close, if it can.
    pub(super) fn accepted(&mut self, user: &str, began: Instant, kind: Kind, done: bool) -> Option<Closing> {
        if self.is_before(began) {
            return None;
        }
        self.accepted = Some((user.to_owned(), Instant::now()));
        if done {
            self.woken.remove(user);
        }
        self.reads = None;
        if kind == Kind::Write {
            self.writes = None;
        }
        let open = self.open.as_mut()?;
        if done {
            open.users.remove(user);
        }
        let closes = open.token || open.kind == Kind::Read || kind == Kind::Write || open.users.is_empty();
        closes.then(|| self.closing()).flatten()
    }

    /// Auth0 answered a call, whatever it said: there is a token.
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

    /// Closes; `woken` were made due again. Those of an earlier time that have not been right since stay remembered.
    pub(super) fn close(&mut self, woken: Vec<String>) {
        let before = std::mem::take(&mut self.woken);
        *self = Self {
            woken: woken.into_iter().chain(before).take(MOST_WOKEN).collect(),
            accepted: self.accepted.take(),
            ..Self::default()
        };
    }

    /// A call of `user` failed with `code`. Answers the number of users once so many have in a row that it must be the tenant.
    pub(super) fn refused(&mut self, user: &str, kind: Kind, code: &str) -> Option<usize> {
        if self.woken.contains(user) {
            return None;
        }
        let streak = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
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

    /// Opens, or stays open after a probe that failed. Answers whether it was closed before.
    pub(super) fn hold(&mut self, user: &str, began: Instant, stop: &Stop, probe_after: Duration) -> bool {
        let now = Instant::now();
        let before = self.is_before(began);
        let streak = match stop.kind {
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
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

/// What makes the stage stop.
#[derive(Debug)]
pub(super) struct Stop {
    /// No token could be had.
    pub(super) token: bool,
    /// The kind of call that failed.
    pub(super) kind: Kind,
    /// What the failures have in common.
    pub(super) code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(breaker: &mut Breaker, users: &[&str], code: &str) -> bool {
        let mut opened = false;
        for user in users {
            opened |= breaker.refused(user, Kind::Write, code).is_some();
        }
        opened
    }

    #[tokio::test]
    async fn f50_different_users_in_a_row_with_one_code_are_the_tenant() {
        let mut breaker = Breaker::default();
        assert!(!refused(&mut breaker, &["a"; 20], "402"), "one user");
        assert!(!refused(&mut breaker, &["b", "c", "d"], "402"));
        assert!(!refused(&mut breaker, &["e"], "400"), "another code");
        assert!(refused(&mut breaker, &["a", "b", "c", "d"], "400"));
    }

    #[tokio::test]
    async fn f50_what_is_accepted_ends_the_row_of_its_kind() {
        let mut breaker = Breaker::default();
        let accept =
            |breaker: &mut Breaker, kind| breaker.accepted("z", Instant::now(), kind, true).is_some();
        assert!(!refused(&mut breaker, &["a", "b", "c", "d"], "402"));
        assert!(!accept(&mut breaker, Kind::Read));
        assert!(
            refused(&mut breaker, &["e"], "402"),
            "a read says nothing of writes"
        );
        let stop = Stop {
            token: false,
            kind: Kind::Write,
            code: Some("402".to_owned()),
        };
        assert!(breaker.hold("e", Instant::now(), &stop, Duration::ZERO));
        assert!(!accept(&mut breaker, Kind::Read));
        assert!(accept(&mut breaker, Kind::Write));
        breaker.close(vec!["a".to_owned()]);
        assert!(
            !refused(&mut breaker, &["a", "b", "c", "d", "e"], "402"),
            "a was woken"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_far_apart_are_not_in_a_row() {
        let mut breaker = Breaker::default();
        assert!(!refused(&mut breaker, &["a", "b", "c", "d"], "400"));
        tokio::time::advance(STREAK_ENDS_AFTER + Duration::from_secs(1)).await;
        assert!(!refused(&mut breaker, &["e", "f", "g", "h"], "400"));
        assert!(refused(&mut breaker, &["i"], "400"));
    }

    #[tokio::test]
    async fn a_read_alone_closes_no_breaker_of_writes_and_forgets_no_woken_user() {
        let mut breaker = Breaker::default();
        let stop = Stop {
            token: false,
            kind: Kind::Write,
            code: Some("400".to_owned()),
        };
        for user in ["a", "b"] {
            breaker.hold(user, Instant::now(), &stop, Duration::ZERO);
        }
        let mut reads = |user, done| {
            let closing = breaker.accepted(user, Instant::now(), Kind::Read, done);
            closing.is_some()
        };
        assert!(!reads("a", false) && !reads("z", true) && !reads("a", true));
        assert!(reads("b", true), "no user is left that failed");
        breaker.close(vec!["a".to_owned()]);
        breaker.accepted("a", Instant::now(), Kind::Read, false);
        assert!(breaker.woken.contains("a"));
    }
}
