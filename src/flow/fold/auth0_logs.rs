//! The tenant's log: a batch of AUTH0_LOGS into the local copy of users, and into who is to be looked at.
//!
//! Owns which record makes somebody look. A record is a hint, never the state. Must never nominate for the echo of our own
//! write, or the worker would follow its own tail, nor take anything of a person who was erased, or of another tenant.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Done, Message, at, dead_letter};
use crate::bus::AUTH0_LOGS;
use crate::domain::erasure::ErasureKey;
use crate::domain::event::{Reason, Reject};
use crate::domain::local_copy::LocalCopy;
use crate::domain::log_batch::UNREADABLE;
use crate::domain::log_record::{self, LogRecord, Says, Tells, WrittenRoles};
use crate::domain::tenant::TenantName;
use crate::store::users::Known;
use crate::store::{
    DeadLetter, ForeignWrite, Nominate, OwnRecord, OwnWrite, StoreError, Tx, Urgency, assignments,
    dead_letters, erasures, nominations, profile_writes, races, users,
};

/// How much Auth0's clock may be behind Postgres': an answer counts as later than a record only if it is so by more.
const CLOCKS_APART: time::Duration = time::Duration::minutes(1);

/// What we are called at Auth0, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    /// Our own client id.
    pub(super) client: Option<&'a str>,
    /// The tenant.
    pub(super) tenant: Option<&'a TenantName>,
}

/// What a batch tells, by user.
#[derive(Default)]
struct Told {
    /// Users who logged in or signed up.
    noticed: BTreeSet<String>,
    /// Users whose roles somebody may have written.
    drifted: BTreeSet<String>,
    /// Roles that our own client wrote, by the record; with the record.
    ours: Vec<(Source, OwnRecord)>,
    /// Writes of ours that a record told of.
    done: Vec<Uuid>,
    /// Roles that other clients wrote.
    theirs: Vec<ForeignWrite>,
    /// Users that were deleted.
    deleted: BTreeSet<String>,
    /// Many users were written and none is named.
    many: bool,
    /// Users of whom a record told what only an answer may bring into their copy, and when that was.
    to_ask: BTreeMap<String, OffsetDateTime>,
    /// What the records say about each user.
    said: BTreeMap<String, LocalCopy>,
}

/// What tells a record of a write from others, and by what Auth0 can confirm it.
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
    // Whom we keep a copy of was not erased.
    let unknown: Vec<&str> = named
        .into_iter()
        .filter(|user| !known.contains_key(*user))
        .collect();
    let erased = erasures::among(tx, key, &unknown).await?;
    let mut told = Told::default();
    let mut dropped = 0;
    for (record, stored_ns) in records {
        if record.subject().is_some_and(|user| erased.contains(user)) {
            dropped += 1;
        } else {
            told.take(record, stored_ns, own.client);
        }
    }
    told.drop_echoes(tx).await?;
    // Nominations first, as reconcile locks them: two transactions then wait for each other one way only.
    nominations::nominate(tx, &mut told.looks(&known)).await?;
    // Behind them: who reads these writes while it holds the nomination has all that it was nominated for.
    races::note(tx, &told.theirs).await?;
    let ours: Vec<(Uuid, Option<OffsetDateTime>)> = told.done.iter().map(|write| (*write, None)).collect();
    profile_writes::told(tx, &ours).await?;
    if told.many {
        assignments::verify_anew(tx).await?;
    }
    // Somebody of whom there is no copy gets one when Auth0 answers.
    told.said.retain(|user, _| known.contains_key(user));
    users::merge(tx, told.said).await?;
    dead_letters::keep(tx, AUTH0_LOGS, &dead).await?;
    Ok(Done {
        messages: batch.len() as u64,
        erased: dropped,
        repeats: 0,
        below_zero: 0,
        other_tenant,
        rejected: dead.iter().map(|letter| letter.reason).collect(),
    })
}

fn read(message: &Message) -> Result<LogRecord, Reject> {
    if message.subject().strip_prefix("auth0.logs.") == Some(UNREADABLE) {
        return Err(Reject::new(
            Reason::Unreadable,
            "body",
            "the delivery could not be split into records",
        ));
    }
    log_record::parse(message.payload())
}

fn look(user: &str, urgency: Urgency) -> Nominate {
    Nominate {
        user: user.to_owned(),
        urgency,
        observe: true,
        cause: None,
        restless: false,
    }
}

impl Told {
    fn take(&mut self, record: LogRecord, stored_ns: i64, own_client: Option<&str>) {
        let ours = own_client.is_some() && record.client_id.as_deref() == own_client;
        if let Some(Says { user, copy, ask }) = record.says {
            let stored = at(stored_ns);
            if let Some(date) = record.date.filter(|_| ask && !ours) {
                let date = date.min(stored);
                let newest = self.to_ask.entry(user.as_str().to_owned()).or_insert(date);
                *newest = date.max(*newest);
            }
            let said = self.said.entry(user.as_str().to_owned()).or_default();
            *said = std::mem::take(said).merge(copy.at_most(stored));
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
        match record.tells {
            Tells::Login { user } | Tells::SignUp { user } => {
                self.noticed.insert(user.as_str().to_owned());
            }
            Tells::Written {
                roles: WrittenRoles::Untouched,
                ..
            }
            | Tells::Other => {}
            Tells::Written {
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
            Tells::Written { user, roles } => {
                let user = user.as_str().to_owned();
                self.drifted.insert(user.clone());
                match roles {
                    WrittenRoles::Set(roles) => self.wrote(user, source, (roles, false), (ours, None)),
                    WrittenRoles::Wiped => self.wrote(user, source, (vec![], true), (ours, None)),
                    WrittenRoles::Unknown | WrittenRoles::Untouched => {}
                }
            }
            Tells::Deleted { user } => {
                self.deleted.insert(user.as_str().to_owned());
            }
            Tells::ManyWritten => self.many = true,
        }
    }

    /// Who is to be looked at; `known` is what we kept before the batch.
    fn looks(&self, known: &HashMap<String, Known>) -> Vec<Nominate> {
        let mut looks: BTreeMap<&String, Urgency> = BTreeMap::new();
        for user in &self.drifted {
            // Not a grant: the brake counts those that wait.
            looks.insert(user, Urgency::NewUser);
        }
        // Nobody to take a role from where we keep nothing.
        for user in self.deleted.iter().filter(|user| known.contains_key(*user)) {
            looks.entry(user).or_insert(Urgency::NewUser);
        }
        // No copy to bring up to date either, and an answer of afterwards has it already.
        let behind = |known: &Known, at: OffsetDateTime| {
            known
                .asked_at
                .is_none_or(|asked_at| at.saturating_add(CLOCKS_APART) > asked_at)
        };
        for (user, at) in &self.to_ask {
            if known.get(user).is_some_and(|known| behind(known, *at)) {
                looks.entry(user).or_insert(Urgency::NewUser);
            }
        }
        let unread = |user: &&String| known.get(*user).is_none_or(|known| known.to_read);
        for user in self.noticed.iter().filter(unread) {
            looks.entry(user).or_insert(Urgency::NewUser);
        }
        looks
            .into_iter()
            .map(|(user, urgency)| look(user, urgency))
            .collect()
    }

    /// Another client wrote roles. A record without any time cannot be put in order, and is a hint only.
    /// One under our own client id that we know nothing of is confirmed apart, and nothing is restored for its sake.
    /// So is one that may tell of the write of ours `of`, which has no answer.
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

    /// A write under our own client id that is not the echo of a completed write is one whose answer nobody has
    /// read, or somebody else's: both want a look.
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
                    self.drifted.insert(record.user.clone());
                    self.wrote(record.user, source, (record.roles, false), (true, Some(write)));
                }
                OwnWrite::Unknown => {
                    self.drifted.insert(record.user.clone());
                    self.wrote(record.user, source, (record.roles, false), (true, None));
                }
            }
        }
        Ok(())
    }
}
