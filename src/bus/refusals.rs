//! Refusals of the server: the connection itself, or requests for which this user lacks the permission.
//!
//! Owns their texts, which name the permission. The server reports a refusal on the connection, not in response to the
//! request, which would only time out. Must never treat a temporary failure as a refusal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Event, ServerError};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::error;

use super::permission::{Violation, general, needs_a_person, no_inbox, no_publish, violation};

/// Most subjects whose refusal is remembered; rolekeeper publishes to a few dozen.
const REMEMBERED: usize = 64;
/// How often a connection without its inbox is replaced: only a new connection shows that the permission was granted.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often the same reason for a missing connection is logged.
const SAY_EVERY: Duration = Duration::from_mins(1);
/// Refusals on one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Refusals(Arc<watch::Sender<State>>);

#[derive(Debug)]
struct State {
    inbox_prefix: String,
    /// The reason why the last attempt to connect failed; none while connected.
    unconnected: Option<String>,
    /// The last logged reason, and when it was logged.
    said: Option<(String, Instant)>,
    /// Refused publishes, by subject; the number gives their order.
    publishes: BTreeMap<String, u64>,
    count: u64,
    /// The refused subscription; all subscriptions of rolekeeper are for responses.
    inbox: Option<String>,
    /// When this connection was made, or was last replaced because its inbox was refused.
    since: Option<Instant>,
    /// Whether the worker itself closes the connection.
    renewing: bool,
}

impl Refusals {
    pub(super) fn new(inbox_prefix: &str) -> Self {
        Self(Arc::new(watch::Sender::new(State {
            inbox_prefix: inbox_prefix.to_owned(),
            unconnected: None,
            said: None,
            publishes: BTreeMap::new(),
            count: 0,
            inbox: None,
            since: None,
            renewing: false,
        })))
    }

    /// Notes an event; returns true where the event needs no log line.
    pub(super) fn note(&self, event: &Event) -> bool {
        let mut silent = false;
        self.0.send_modify(|state| match event {
            Event::Connected => {
                silent = state.renewing;
                state.unconnected = None;
                state.inbox = None;
                state.publishes.clear();
                state.since = Some(Instant::now());
            }
            Event::Disconnected => silent = state.renewing,
            Event::ServerError(ServerError::Other(text)) => match violation(text) {
                Some(Violation::Publish(subject)) => silent = state.refuse(subject),
                Some(Violation::Subscription(subject)) => {
                    silent = state.renewing;
                    state.inbox = Some(general(subject, &state.inbox_prefix));
                }
                None => state.unconnected = Some(text.clone()),
            },
            Event::ServerError(other) => state.unconnected = Some(other.to_string()),
            _ => {}
        });
        if let (Event::ServerError(ServerError::Other(text)), false) = (event, silent)
            && let Some(refused) = self.0.borrow().shown(text)
        {
            error!(dependency = "nats", "{refused}");
            return true;
        }
        silent
    }

    /// Notes the reason of failed attempts to connect.
    pub(super) fn failed_to_connect(&self, why: impl Iterator<Item = String>) {
        let mut why: Vec<String> = why.collect();
        why.sort();
        why.dedup();
        if why.is_empty() {
            return;
        }
        let why = why.join("; ");
        self.0.send_if_modified(|state| {
            let again = |(said, at): &(String, Instant)| *said != why || at.elapsed() >= SAY_EVERY;
            if needs_a_person(&why) && state.said.as_ref().is_none_or(again) {
                error!(dependency = "nats", "NATS refuses the connection: {why}");
                state.said = Some((why.clone(), Instant::now()));
            }
            let changed = state.unconnected.as_ref() != Some(&why);
            state.unconnected = Some(why);
            changed
        });
    }

    /// Returns the number of the last refusal.
    pub(super) fn now(&self) -> u64 {
        self.0.borrow().count
    }

    /// Waits until the server refuses a publish after `since` to `subject` (or below it, where it ends with a dot), or the
    /// subscription for responses.
    pub(super) async fn refused(&self, subject: &str, since: u64) -> String {
        let mut state = self.0.subscribe();
        loop {
            if let Some(why) = state.borrow_and_update().of(subject, since) {
                return why;
            }
            if state.changed().await.is_err() {
                // `self` holds the sender, so the channel cannot close here.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns the reason why there is no connection.
    pub(super) fn unconnected(&self) -> Option<String> {
        self.0.borrow().unconnected.clone()
    }

    /// Returns whether the connection must be replaced now.
    pub(super) fn is_to_be_renewed(&self) -> bool {
        self.0.send_if_modified(|state| {
            let old = state.since.is_some_and(|since| since.elapsed() >= RENEW_EVERY);
            let renew = state.inbox.is_some() && old;
            if renew {
                (state.renewing, state.since) = (true, Some(Instant::now()));
            }
            renew
        })
    }

    /// Notes that a response arrived: the inbox works.
    pub(super) fn responded(&self) {
        if self.0.borrow().renewing {
            self.0.send_modify(|state| state.renewing = false);
        }
    }
}

impl State {
    /// Notes a refused publish; returns true where it was refused before.
    fn refuse(&mut self, subject: &str) -> bool {
        self.count += 1;
        let before = self
            .publishes
            .keys()
            .any(|known| general(known, "") == general(subject, ""));
        self.publishes.insert(subject.to_owned(), self.count);
        if self.publishes.len() > REMEMBERED
            && let Some(oldest) = self.publishes.iter().min_by_key(|(_, count)| **count)
        {
            let oldest = oldest.0.clone();
            self.publishes.remove(&oldest);
        }
        before
    }

    fn of(&self, subject: &str, since: u64) -> Option<String> {
        if let Some(inbox) = &self.inbox {
            return Some(no_inbox(inbox));
        }
        let is_meant =
            |known: &str| known == subject || (subject.ends_with('.') && known.starts_with(subject));
        let mut refused = self.publishes.iter().filter(|(_, count)| **count > since);
        let (known, _) = refused.find(|(known, _)| is_meant(known))?;
        Some(no_publish(&general(known, "")))
    }

    fn shown(&self, text: &str) -> Option<String> {
        match violation(text)? {
            Violation::Publish(subject) => Some(no_publish(&general(subject, ""))),
            Violation::Subscription(subject) => Some(no_inbox(&general(subject, &self.inbox_prefix))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_says(refusals: &Refusals, text: &str) -> bool {
        refusals.note(&Event::ServerError(ServerError::Other(text.to_owned())))
    }

    #[tokio::test]
    async fn a_refusal_names_the_permission() {
        let refusals = Refusals::new("_INBOX");
        let subject = "$JS.API.CONSUMER.CREATE.APP_EVENTS.rolekeeper-0199";
        let text = format!("Permissions Violation for Publish to \"{subject}\"");
        let since = refusals.now();
        server_says(&refusals, &text);
        let why = refusals.refused(subject, since).await;
        assert!(
            why.contains("publish to \"$JS.API.CONSUMER.CREATE.APP_EVENTS.*\""),
            "{why}"
        );
        // A later refusal belongs to another request.
        let state = refusals.0.borrow();
        assert_eq!(state.of(subject, refusals.now()), None);
        assert_eq!(state.of("$JS.API.STREAM.INFO.APP_EVENTS", since), None);
        assert!(state.of("$JS.API.CONSUMER.CREATE.APP_EVENTS.", since).is_some());
    }

    #[tokio::test]
    async fn without_an_inbox_no_response_arrives() {
        let refusals = Refusals::new("_INBOX");
        server_says(
            &refusals,
            "Permissions Violation for Subscription to \"_INBOX.abc.*\"",
        );
        let why = refusals.refused("any", refusals.now()).await;
        assert!(why.contains("subscribe to \"_INBOX.>\""), "{why}");
        refusals.note(&Event::Connected);
        assert_eq!(refusals.0.borrow().of("any", 0), None);
    }

    #[test]
    fn other_errors_say_why_there_is_no_connection() {
        let refusals = Refusals::new("_INBOX");
        server_says(&refusals, "User Authentication Expired");
        assert_eq!(
            refusals.unconnected().as_deref(),
            Some("User Authentication Expired")
        );
    }
}
