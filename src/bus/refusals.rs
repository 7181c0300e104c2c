//! What the server refuses: the connection itself, or what this user lacks the permission for.
//!
//! Owns the words for it, which name the permission. The server tells of a refusal on the connection, not in response to the
//! request, which would only time out. Must never call a refusal what time mends by itself.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Event, ServerError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error};

use super::Bus;

/// Subjects whose refusal is remembered; there are some dozens that we publish to.
const REMEMBERED: usize = 64;
/// How often a connection without its inbox is replaced: only a new one shows that the permission is there now.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often the same reason for not being connected is logged.
const SAY_EVERY: Duration = Duration::from_mins(1);
/// What the client library says where no JetStream responds.
const NO_RESPONDERS: &str = "requested JetStream resource does not exist";

/// What one connection is refused. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Refusals(Arc<watch::Sender<State>>);

#[derive(Debug)]
struct State {
    inbox_prefix: String,
    /// Why the last attempt to connect failed; none while connected.
    unconnected: Option<String>,
    /// When that was logged.
    said: Option<(String, Instant)>,
    /// Publishes that were refused, by subject; the number tells which came after which.
    publishes: BTreeMap<String, u64>,
    count: u64,
    /// The subscription that was refused; all of ours are for responses.
    inbox: Option<String>,
    /// When this connection was made, or was last replaced for want of its inbox.
    since: Option<Instant>,
    /// We close it ourselves.
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

    /// Notes an event; true where nothing more is to be said of it.
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

    /// Notes why attempts to connect failed.
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

    /// Where in the order of refusals now is.
    pub(super) fn now(&self) -> u64 {
        self.0.borrow().count
    }

    /// Waits until a publish to `subject`, or below it where it ends with a dot, is refused that was sent after `since`; or
    /// the subscription by which responses come.
    pub(super) async fn refused(&self, subject: &str, since: u64) -> String {
        let mut state = self.0.subscribe();
        loop {
            if let Some(why) = state.borrow_and_update().of(subject, since) {
                return why;
            }
            if state.changed().await.is_err() {
                // The sender is ours: it lives as long as we do.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Why there is no connection.
    fn unconnected(&self) -> Option<String> {
        self.0.borrow().unconnected.clone()
    }

    /// Whether the connection is to be replaced now.
    fn is_to_be_renewed(&self) -> bool {
        self.0.send_if_modified(|state| {
            let old = state.since.is_some_and(|since| since.elapsed() >= RENEW_EVERY);
            let renew = state.inbox.is_some() && old;
            if renew {
                (state.renewing, state.since) = (true, Some(Instant::now()));
            }
            renew
        })
    }

    /// A response came: the inbox works.
    fn responded(&self) {
        if self.0.borrow().renewing {
            self.0.send_modify(|state| state.renewing = false);
        }
    }
}

impl State {
    /// Notes a refused publish; true where it was refused before.
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

impl Bus {
    /// Asks the JetStream API.
    ///
    /// # Errors
    /// In words: it does not answer, or this user lacks a permission.
    pub(super) async fn request<T: DeserializeOwned>(
        &self,
        subject: String,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<T, String> {
        let whole = format!("{}.{subject}", self.api_prefix);
        let since = self.refusals.now();
        self.answered(&whole, since, self.jetstream.request(subject, payload))
            .await
    }

    /// Waits for the response to what was published to `subject` (or below it, where it ends with a dot) after `since`.
    ///
    /// # Errors
    /// In words: there was none, or this user lacks a permission.
    pub(super) async fn answered<T, E: Display>(
        &self,
        subject: &str,
        since: u64,
        answer: impl IntoFuture<Output = Result<T, E>>,
    ) -> Result<T, String> {
        let refused = tokio::select! {
            biased;
            answer = answer.into_future() => {
                return answer
                    .inspect(|_| self.refusals.responded())
                    .map_err(|error| self.because(&error));
            }
            refused = self.refusals.refused(subject, since) => refused,
        };
        if self.refusals.is_to_be_renewed() {
            debug!(
                dependency = "nats",
                "connecting anew to see whether responses may come now"
            );
            if let Err(why) = self.client.force_reconnect().await {
                debug!(dependency = "nats", "the connection was not replaced: {why}");
            }
        }
        Err(refused)
    }

    /// Why there is no connection, to be put behind a sentence; empty where that is not known.
    #[must_use]
    pub fn why_unconnected(&self) -> String {
        let why = self.refusals.unconnected().filter(|_| !self.is_connected());
        why.map_or_else(String::new, |why| {
            format!("; the last attempt to connect failed: {why}")
        })
    }

    /// An error with what is known of its cause.
    pub(super) fn because(&self, error: &dyn Display) -> String {
        let error = error.to_string();
        if error.contains(NO_RESPONDERS) {
            return format!(
                "no JetStream responds at {}: it is starting, off for this account, or in a domain (NATS_JETSTREAM_DOMAIN)",
                self.api_prefix
            );
        }
        error + &self.why_unconnected()
    }
}

enum Violation<'t> {
    Publish(&'t str),
    Subscription(&'t str),
}

/// What a server's error is about, if it is about a permission: `Permissions Violation for Publish to "…"`.
fn violation(text: &str) -> Option<Violation<'_>> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    let (what, subject) = rest.split_once('"')?;
    let subject = subject.split('"').next()?;
    Some(if what.starts_with("Publish to") {
        Violation::Publish(subject)
    } else if what.starts_with("Subscription") {
        Violation::Subscription(subject)
    } else {
        return None;
    })
}

/// A subject as a permission names it: without what is made anew for each reader or connection.
fn general(subject: &str, inbox_prefix: &str) -> String {
    if !inbox_prefix.is_empty() && subject.starts_with(inbox_prefix) {
        return format!("{inbox_prefix}.>");
    }
    let tokens = subject.split('.').map(|token| {
        if token.starts_with("rolekeeper-") {
            "*"
        } else {
            token
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

fn no_publish(subject: &str) -> String {
    format!("NATS does not permit this user to publish to \"{subject}\": grant that permission")
}

fn no_inbox(subject: &str) -> String {
    format!(
        "NATS does not permit this user to subscribe to \"{subject}\", where responses come: grant that permission, or set \
         NATS_INBOX_PREFIX to what is granted"
    )
}

/// Whether waiting is of no use: the server, or TLS, says no.
fn needs_a_person(why: &str) -> bool {
    [
        "authorization",
        "authentication",
        "signing nonce",
        "certificate",
        "TLS",
        "tls",
        "fatal alert",
    ]
    .iter()
    .any(|part| why.contains(part))
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
        // One of later is another request's.
        let state = refusals.0.borrow();
        assert_eq!(state.of(subject, refusals.now()), None);
        assert_eq!(state.of("$JS.API.STREAM.INFO.APP_EVENTS", since), None);
        assert!(state.of("$JS.API.CONSUMER.CREATE.APP_EVENTS.", since).is_some());
    }

    #[tokio::test]
    async fn without_an_inbox_nothing_is_answered_until_the_next_connection() {
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
        for text in [
            "Permissions Violation",
            "Permissions Violation for Publish",
            "\"",
            "",
        ] {
            assert!(violation(text).is_none(), "{text}");
        }
    }
}
