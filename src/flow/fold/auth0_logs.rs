//! The tenant's log: a batch of AUTH0_LOGS into logins, new users and drift.
//!
//! Owns which record makes somebody look. A record is a hint, never the state. Must never nominate for the
//! echo of our own write, or the worker would follow its own tail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::{Done, Message, dead_letter};
use crate::bus::AUTH0_LOGS;
use crate::domain::event::{Reason, Reject};
use crate::domain::log_batch::UNREADABLE;
use crate::domain::log_record::{self, LogRecord, Tells, WrittenRoles};
use crate::store::{
    DeadLetter, Nominate, StoreError, Tx, Urgency, assignments, dead_letters, nominations, role_changes,
    users,
};

/// What a batch tells, by user.
#[derive(Default)]
struct Told {
    /// Users named as subjects, with their newest login.
    noticed: BTreeMap<String, Option<OffsetDateTime>>,
    /// Users whose roles somebody may have written.
    drifted: BTreeSet<String>,
    /// Users and roles that our own client wrote, by the record.
    ours: Vec<(String, Value)>,
    /// Users that were deleted.
    deleted: BTreeSet<String>,
    /// Many users were written and none is named.
    many: bool,
}

/// Folds one batch inside the cursor's transaction.
pub(super) async fn fold(
    tx: &mut Tx<'_>,
    batch: &[Message],
    own_client: Option<&str>,
) -> Result<Done, StoreError> {
    let mut told = Told::default();
    let mut dead: Vec<DeadLetter<'_>> = Vec::new();
    for message in batch {
        match read(message) {
            Ok(record) => told.take(record, own_client),
            Err(reject) => dead.push(dead_letter(message, reject)),
        }
    }
    told.drop_echoes(tx).await?;
    let mut wanted: Vec<Nominate> = told
        .drifted
        .iter()
        // Not a grant: the brake counts those that wait.
        .map(|user| look(user, Urgency::NewUser))
        .collect();
    if !told.deleted.is_empty() {
        // Nobody to take a role from where we keep nothing.
        let deleted: Vec<&str> = told.deleted.iter().map(String::as_str).collect();
        let known = users::known(tx, &deleted).await?;
        wanted.extend(
            known
                .iter()
                .filter(|user| !told.drifted.contains(*user))
                .map(|user| look(user, Urgency::Verify)),
        );
    }
    let (noticed, logins): (Vec<&str>, Vec<_>) = told
        .noticed
        .iter()
        .map(|(user, login)| (user.as_str(), *login))
        .unzip();
    let unread = users::unread(tx, &noticed).await?;
    let nominated: BTreeSet<String> = wanted.iter().map(|one| one.user.clone()).collect();
    wanted.extend(
        unread
            .iter()
            .filter(|user| !nominated.contains(*user))
            .map(|user| look(user, Urgency::NewUser)),
    );
    // Nominations first, as reconcile locks them: two transactions then wait for each other one way only.
    nominations::nominate(tx, &mut wanted).await?;
    users::noticed(tx, &noticed, &logins).await?;
    if told.many {
        assignments::unverify_all(tx).await?;
    }
    dead_letters::keep(tx, AUTH0_LOGS, &dead).await?;
    Ok(Done {
        messages: batch.len() as u64,
        rejected: dead.iter().map(|letter| letter.reason).collect(),
    })
}

fn read(message: &Message) -> Result<LogRecord, Reject> {
    if message.subject().strip_prefix("auth0.logs.") == Some(UNREADABLE) {
        return Err(Reject::new(
            Reason::Unreadable,
            "body",
            "could not be split into records",
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
    }
}

impl Told {
    fn take(&mut self, record: LogRecord, own_client: Option<&str>) {
        let ours = own_client.is_some() && record.client_id.as_deref() == own_client;
        match record.tells {
            Tells::Login { user } => {
                let newest = self.noticed.entry(user.as_str().to_owned()).or_default();
                *newest = (*newest).max(record.date);
            }
            Tells::SignUp { user } => {
                self.noticed.entry(user.as_str().to_owned()).or_default();
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
                self.ours.push((user.as_str().to_owned(), Value::from(roles)));
            }
            Tells::Written { user, .. } => {
                self.drifted.insert(user.as_str().to_owned());
            }
            Tells::Deleted { user } => {
                self.deleted.insert(user.as_str().to_owned());
            }
            Tells::ManyWritten => self.many = true,
        }
    }

    /// A write under our own client id that no completed audit row explains is somebody else's, or one whose
    /// answer we never saw: both want a look.
    async fn drop_echoes(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.ours.is_empty() {
            return Ok(());
        }
        let writes: Vec<(&str, Value)> = self
            .ours
            .iter()
            .map(|(user, roles)| (user.as_str(), roles.clone()))
            .collect();
        let known: BTreeSet<String> = role_changes::echoes(tx, &writes).await?.into_iter().collect();
        self.drifted.extend(
            self.ours
                .iter()
                .map(|(user, _)| user)
                .filter(|user| !known.contains(*user))
                .cloned(),
        );
        Ok(())
    }
}
