//! Folds the tenant's log: a batch of AUTH0_LOGS into the local copy of users and the work queue.
//!
//! Owns which record enqueues a user. A record is a hint, never the state. Must never enqueue a user for the echo of
//! our own write, or the worker would react to itself without end, nor take data of an erased person or of another
//! tenant.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;
use uuid::Uuid;

use super::dead_letter::dead_letter;
use super::done::Done;
use crate::bus::{AUTH0_LOGS, Message};
use crate::store::users::Known;
use crate::store::{
    DeadLetter, Enqueue, ForeignWrite, OwnRecord, OwnWrite, Priority, StoreError, Tx, assignments,
    dead_letters, erasures, identities, profile_writes, races, users, work_queue,
};
use rolekeeper_domain::date;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::event::{Reason, Reject};
use rolekeeper_domain::local_copy::LocalCopy;
use rolekeeper_domain::log_batch::UNREADABLE;
use rolekeeper_domain::log_record::{self, Effect, LogRecord, ProfileUpdate, WrittenRoles};
use rolekeeper_domain::subjects;
use rolekeeper_domain::tenant::TenantName;

/// Allowed lag of Auth0's clock behind Postgres': a response counts as later than a record only if it is later by more
/// than this.
const CLOCKS_APART: time::Duration = time::Duration::minutes(1);

/// Our own names at Auth0, as far as they are known.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    /// Our own client id.
    pub(super) client: Option<&'a str>,
    /// The name of the tenant.
    pub(super) tenant: Option<&'a TenantName>,
}

/// The effects of a batch, by user.
#[derive(Default)]
struct BatchEffects {
    /// Users who logged in or signed up.
    seen: BTreeSet<String>,
    /// Users whose roles another client may have written.
    externally_changed: BTreeSet<String>,
    /// Roles that our own client wrote according to a record, with that record.
    ours: Vec<(Source, OwnRecord)>,
    /// Writes of ours that a record reported.
    done: Vec<Uuid>,
    /// Roles that other clients wrote.
    theirs: Vec<ForeignWrite>,
    /// Users that were deleted, or that a directory changed.
    touched: BTreeSet<String>,
    /// Links that ended, by alias and primary.
    unlinked: Vec<(String, String)>,
    /// A bulk change wrote many users and names none.
    bulk_change: bool,
    /// Users with a reported change that only a response may bring into their copy, and the time of the change.
    to_ask: BTreeMap<String, OffsetDateTime>,
    /// The data of the records about each user.
    updates: BTreeMap<String, LocalCopy>,
}

/// Identifies the record of a write, and the id by which Auth0 can confirm it.
struct Source {
    id: String,
    at: Option<OffsetDateTime>,
    log_id: Option<String>,
    client: Option<String>,
    dated: Option<OffsetDateTime>,
}

/// Folds one batch inside the cursor's transaction.
pub(super) async fn fold(
    tx: &mut Tx<'_>,
    batch: &[Message],
    own: Own<'_>,
    key: Option<&ErasureKey>,
) -> Result<Done, StoreError> {
    let mut records: Vec<(LogRecord, i64)> = Vec::with_capacity(batch.len());
    let mut dead: Vec<DeadLetter<'_>> = Vec::new();
    let mut other_tenant = Vec::with_capacity(batch.len());
    for message in batch {
        match read(message) {
            Ok(record) => {
                let other = own
                    .tenant
                    .is_some_and(|own| own.is_other(record.tenant.as_deref()));
                other_tenant.push(other);
                if !other {
                    records.push((record, message.stored_ns));
                }
            }
            Err(reject) => dead.push(dead_letter(message, &reject)),
        }
    }
    let named: BTreeSet<String> = records
        .iter()
        .filter_map(|(record, _)| record.subject().map(str::to_owned))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let known = users::known(tx, &named).await?;
    // A user with a local copy cannot be an erased one.
    let unknown: Vec<&str> = named
        .into_iter()
        .filter(|user| !known.contains_key(*user))
        .collect();
    let erased = erasures::among(tx, key, &unknown).await?;
    let mut effects = BatchEffects::default();
    let mut dropped = 0;
    for (record, stored_ns) in records {
        if record.subject().is_some_and(|user| erased.contains(user)) {
            dropped += 1;
        } else {
            effects.take(record, stored_ns, own.client);
        }
    }
    effects.drop_echoes(tx).await?;
    // The queue first, in the order in which reconcile locks: so two transactions wait for each other in one direction
    // only.
    work_queue::enqueue(tx, &mut effects.entries(&known)).await?;
    identities::doubt(tx, &effects.unlinked).await?;
    // After the queue: an attempt that reads these writes while it holds the queue row sees all the reasons for the
    // row.
    races::note(tx, &effects.theirs).await?;
    let ours: Vec<(Uuid, Option<OffsetDateTime>)> = effects.done.iter().map(|write| (*write, None)).collect();
    profile_writes::acknowledge(tx, &ours).await?;
    if effects.bulk_change {
        assignments::reverify(tx).await?;
    }
    // A user without a copy gets one when Auth0 responds.
    effects.updates.retain(|user, _| known.contains_key(user));
    users::merge(tx, effects.updates).await?;
    dead_letters::keep(tx, AUTH0_LOGS, &dead).await?;
    Ok(Done {
        messages: batch.len() as u64,
        erased: dropped,
        duplicates: 0,
        below_zero: 0,
        other_tenant,
        rejected: dead.iter().map(|letter| letter.reason).collect(),
        spans: Vec::new(),
    })
}

/// The record that a message holds.
pub(super) fn read(message: &Message) -> Result<LogRecord, Reject> {
    if message.subject().strip_prefix(subjects::AUTH0_LOGS) == Some(UNREADABLE) {
        return Err(Reject::new(
            Reason::Unreadable,
            "body",
            "the delivery could not be split into records",
        ));
    }
    log_record::parse(message.payload())
}

impl BatchEffects {
    fn take(&mut self, record: LogRecord, stored_ns: i64, own_client: Option<&str>) {
        let ours = own_client.is_some() && record.client_id.as_deref() == own_client;
        if let Some(ProfileUpdate { user, copy, ask }) = record.profile_update {
            let stored = date::of_unix_ns(stored_ns);
            if let Some(date) = record.date.filter(|_| ask && !ours) {
                let date = date.min(stored);
                let newest = self.to_ask.entry(user.as_str().to_owned()).or_insert(date);
                *newest = date.max(*newest);
            }
            let update = self.updates.entry(user.as_str().to_owned()).or_default();
            *update = std::mem::take(update).merge(copy.at_most(stored));
        }
        let written_at = record.updated_at.or(record.date);
        let source = Source {
            at: written_at,
            // An event of Event Streams has an id too, but not one in the tenant's log.
            log_id: record.log_id.clone().filter(|_| record.kind == "sapi"),
            id: record
                .log_id
                .unwrap_or_else(|| format!("stored at {stored_ns} ns")),
            client: record.client_id,
            dated: record.date,
        };
        match record.effect {
            Effect::Login { user } | Effect::SignUp { user } => {
                self.seen.insert(user.as_str().to_owned());
            }
            Effect::Written {
                roles: WrittenRoles::Untouched,
                ..
            }
            | Effect::Other => {}
            Effect::Written {
                user,
                roles: WrittenRoles::Set(roles),
            } if ours => {
                let (user, exact) = (user.as_str().to_owned(), record.updated_at.is_some());
                let own = OwnRecord {
                    user,
                    roles,
                    at: written_at,
                    exact,
                };
                self.ours.push((source, own));
            }
            Effect::Written { user, roles } => {
                let user = user.as_str().to_owned();
                self.externally_changed.insert(user.clone());
                match roles {
                    WrittenRoles::Set(roles) => self.wrote(user, source, (roles, false), (ours, None)),
                    WrittenRoles::Wiped => self.wrote(user, source, (vec![], true), (ours, None)),
                    WrittenRoles::Unknown | WrittenRoles::Untouched => {}
                }
            }
            Effect::Unlinked { user, alias } => {
                let user = user.as_str().to_owned();
                let alias = alias.as_str().to_owned();
                // Both: no read may have seen the link, which discarded the roles of the linked id.
                self.externally_changed.extend([user.clone(), alias.clone()]);
                self.unlinked.push((alias, user));
            }
            Effect::Deleted { user } | Effect::Touched { user } => {
                self.touched.insert(user.as_str().to_owned());
            }
            Effect::BulkImport => self.bulk_change = true,
        }
    }

    /// Users to enqueue; `known` is the local copy before the batch.
    fn entries(&self, known: &HashMap<String, Known>) -> Vec<Enqueue> {
        let mut entries: BTreeMap<&String, Priority> = BTreeMap::new();
        for user in &self.externally_changed {
            // Not with the priority of a grant: the brake counts waiting grants.
            entries.insert(user, Priority::NewUser);
        }
        // Without a local copy there is no role of ours to revoke.
        for user in self.touched.iter().filter(|user| known.contains_key(*user)) {
            entries.entry(user).or_insert(Priority::NewUser);
        }
        // Without a copy nothing has to be updated, and a later response contains the change already.
        let behind = |known: &Known, at: OffsetDateTime| {
            known
                .asked_at
                .is_none_or(|asked_at| at.saturating_add(CLOCKS_APART) > asked_at)
        };
        for (user, at) in &self.to_ask {
            if known.get(user).is_some_and(|known| behind(known, *at)) {
                entries.entry(user).or_insert(Priority::NewUser);
            }
        }
        let unread = |user: &&String| known.get(*user).is_none_or(|known| known.to_read);
        for user in self.seen.iter().filter(unread) {
            entries.entry(user).or_insert(Priority::NewUser);
        }
        entries
            .into_iter()
            .map(|(user, priority)| Enqueue::to_read(user, priority))
            .collect()
    }

    /// Notes that another client wrote roles. A record without a time cannot be ordered, and is only a hint. A record
    /// under our own client id that matches none of our writes is confirmed separately, and nothing is restored because
    /// of it. The same holds for a record that may report our write `of`, which has no response.
    fn wrote(
        &mut self,
        user: String,
        source: Source,
        (roles, wiped): (Vec<String>, bool),
        (own, of): (bool, Option<Uuid>),
    ) {
        self.theirs.extend(source.at.map(|at| ForeignWrite {
            user,
            record: source.id,
            at,
            roles,
            wiped,
            log_id: source.log_id,
            client: source.client,
            dated: source.dated,
            own,
            write: of,
        }));
    }

    /// Handles writes under our own client id that are not the echo of a completed write: either our write has no
    /// recorded response, or another program wrote. Both enqueue the user.
    async fn drop_echoes(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.ours.is_empty() {
            return Ok(());
        }
        let (sources, records): (Vec<Source>, Vec<OwnRecord>) =
            std::mem::take(&mut self.ours).into_iter().unzip();
        let known = profile_writes::recognise(tx, &records).await?;
        for ((source, record), is) in sources.into_iter().zip(records).zip(known) {
            match is {
                OwnWrite::Echo(write) => self.done.push(write),
                OwnWrite::Unread(write) => {
                    self.done.push(write);
                    self.externally_changed.insert(record.user.clone());
                    self.wrote(record.user, source, (record.roles, false), (true, Some(write)));
                }
                OwnWrite::Unknown => {
                    self.externally_changed.insert(record.user.clone());
                    self.wrote(record.user, source, (record.roles, false), (true, None));
                }
            }
        }
        Ok(())
    }
}
