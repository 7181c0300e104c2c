//! The tenant's state, and the only way to change a user in it.
//!
//! Owns users, clients, tokens, the call log and the histories. Every change goes through [`State::commit`],
//! so that profile, history and log records cannot disagree.

use std::collections::HashMap;

use rand::rngs::StdRng;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::assertion::Used;
use super::calls::{Actor, Call, Version};
use super::change::{Change, Users, id_of};
use super::exports::Exports;
use super::faults::Faults;
use super::keys::Keys;
use super::limits::Limiter;
use super::options::{Client, TenantOptions};
use super::outbox::Outbox;
use super::profile::{digest, size};
use super::records;

/// Clients by id.
pub(super) type Clients = HashMap<String, Client>;

/// The rights of a token: the scopes of the client when it was issued.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub client: String,
    pub scopes: Vec<String>,
    pub expires: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    pub users: Users,
    /// Digests of passwords, by user id.
    pub passwords: HashMap<String, [u8; 32]>,
    pub keys: Keys,
    pub clients: Clients,
    pub tokens: HashMap<String, Grant>,
    pub used_assertions: Used,
    pub limiter: Limiter,
    pub faults: Faults,
    pub calls: Vec<Call>,
    pub histories: HashMap<String, Vec<Version>>,
    pub exports: Exports,
    pub outbox: Outbox,
    pub rng: StdRng,
}

impl State {
    /// Applies a change, adds it to the user's history and logs the records that Auth0 would log.
    pub(super) fn commit(
        &mut self,
        change: &Change,
        by: Actor,
        now: OffsetDateTime,
        options: &TenantOptions,
    ) {
        let (id, user) = (change.user_id().to_owned(), change.user());
        self.commit_secondary(change, &by, now);
        let deleted = matches!(change, Change::Deleted { .. });
        let app_metadata = user.get("app_metadata").filter(|_| !deleted).cloned();
        let scopes = match &by {
            Actor::Client(client) => self.clients.get(client).map(|client| client.scopes.clone()),
            _ => None,
        };
        let scopes = scopes.unwrap_or_default();
        for record in records::of(change, &by, &scopes, &options.name, now) {
            self.outbox.log(record, now);
        }
        if !deleted && by != Actor::Unrecorded && size(user) > options.profile_limit.warned_above {
            self.outbox.log(records::oversized(&id, &options.name, now), now);
        }
        self.histories.entry(id.clone()).or_default().push(Version {
            at: now,
            by,
            app_metadata,
            deleted,
        });
        if let Change::Created { sent, .. } | Change::Patched { sent, .. } = change
            && let Some(password) = sent.get("password").and_then(|password| password.as_str())
        {
            self.passwords.insert(id.clone(), digest(password));
        }
        if deleted {
            self.passwords.remove(&id);
            self.users.remove(&id);
        } else {
            self.users.insert(id, user.clone());
        }
    }

    /// Applies a link or an unlink to its secondary, which ceases to exist, or exists again without metadata. Its password
    /// stays: the person logs in with either identity.
    fn commit_secondary(&mut self, change: &Change, by: &Actor, now: OffsetDateTime) {
        let (Change::Linked { secondary, .. } | Change::Unlinked { secondary, .. }) = change else {
            return;
        };
        let deleted = matches!(change, Change::Linked { .. });
        let id = id_of(secondary).to_owned();
        self.histories.entry(id.clone()).or_default().push(Version {
            at: now,
            by: by.clone(),
            app_metadata: None,
            deleted,
        });
        if deleted {
            self.users.remove(&id);
        } else {
            self.users.insert(id, secondary.clone());
        }
    }

    /// Drops expired tokens and assertions, so that they do not accumulate in a long run.
    pub(super) fn forget_expired(&mut self, instant: Instant, now: OffsetDateTime) {
        self.tokens.retain(|_, grant| grant.expires > instant);
        // A minute is more than the accepted difference between clocks.
        self.used_assertions
            .retain(|_, expires| *expires + time::Duration::minutes(1) > now);
    }
}
