//! Erases users who were deleted at Auth0 some days ago, where `ERASE_AFTER_DELETION_D` asks for it.
//!
//! Owns the rounds over these users, and how old Auth0's response may be. Must never erase a user unless Auth0, asked just before,
//! knows neither the id nor an account that it is linked to; nor while rolekeeper is paused, nor after calls that failed.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use super::presence::{Paced, Presence, ask};
use crate::auth0::{CallError, LaterWhy, Reader};
use crate::store::{Deleted, ERASE_DELETED, Store, StoreError};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::ids::UserId;

/// Users erased in one transaction, during which the fold waits.
const SLICE: i64 = 20;
/// Time after which the users found absent so far are erased, before Auth0 is asked about more.
const ASKED_FOR: Duration = Duration::from_secs(2);
/// Age of Auth0's response beyond which a user is asked about again, in a later round.
const FRESH: Duration = Duration::from_secs(5);
/// Users in a row with failed calls, after which the round ends: the tenant and not the users is at fault.
const FAILURES: u32 = 3;

/// The erasure of deleted users; runs where this worker reconciles.
#[derive(Clone)]
pub(super) struct EraseDeleted {
    pub(super) store: Store,
    pub(super) reader: Reader,
    pub(super) paced: Paced,
    /// Time for which Auth0 must not have known a user.
    pub(super) after: Duration,
    /// Time between two rounds.
    pub(super) every: Duration,
}

/// Auth0's response about a user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It knows no id of the person, nor an account that has one.
    Absent,
    /// It knows an account.
    Known,
    /// It refuses a call about this user, or its response cannot be understood.
    Unclear,
    /// A call failed for a reason that may concern all users.
    Failed,
}

impl EraseDeleted {
    /// Erases until dropped. A failed round is repeated.
    pub(super) async fn run(&self) -> Infallible {
        let mut last = Deleted::default();
        loop {
            if let Err(why) = self.round(&mut last).await {
                warn!("users who were deleted at Auth0 were not erased: {why}; retrying later");
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Goes over the users who are due behind `last`, in slices; then the next round begins with the first one again. A round that
    /// ends because calls fail is continued behind the users that they concern.
    async fn round(&self, last: &mut Deleted) -> Result<(), StoreError> {
        let due = self.store.due_for_erasure(self.after).await?;
        self.paced.metrics.reconcile.erasures_due.set(due);
        let mut failures = 0;
        while failures < FAILURES && self.store.paused().await?.is_none() {
            let due = self.store.deleted_for(self.after, last, SLICE).await?;
            if due.is_empty() {
                *last = Deleted::default();
                break;
            }
            let mut absent = Vec::new();
            for user in due {
                let asked = self.ask(&user.user).await?;
                failures = if asked == Asked::Failed { failures + 1 } else { 0 };
                if asked == Asked::Absent {
                    absent.push((user.user.clone(), Instant::now()));
                }
                *last = user;
                let first: Option<&(String, Instant)> = absent.first();
                if failures == FAILURES || first.is_some_and(|(_, at)| at.elapsed() > ASKED_FOR) {
                    break;
                }
            }
            // A slow call makes the responses before it old.
            absent.retain(|(_, at)| at.elapsed() <= FRESH);
            let absent: Vec<String> = absent.into_iter().map(|(user, _)| user).collect();
            self.erase(&absent).await?;
        }
        let due = self.store.due_for_erasure(self.after).await?;
        self.paced.metrics.reconcile.erasures_due.set(due);
        Ok(())
    }

    /// Asks Auth0 for all ids of the person. A known user is read next.
    async fn ask(&self, user: &str) -> Result<Asked, StoreError> {
        for id in self.store.ids_of_person(user).await? {
            let Ok(id) = UserId::parse(id) else {
                return Ok(Asked::Unclear);
            };
            let account = match ask(&self.reader, &id, Some(&self.paced)).await {
                Ok(Presence::Absent) => continue,
                Ok(Presence::Account) => id,
                Ok(Presence::LinkedTo(primary)) => primary,
                Err(why) => {
                    warn!(
                        user.id = user,
                        "the user was deleted at Auth0 and is not erased yet, since Auth0 could not be asked: {why}"
                    );
                    return Ok(of_error(&why));
                }
            };
            self.store.read_next(account.as_str()).await?;
            return Ok(Asked::Known);
        }
        Ok(Asked::Absent)
    }

    async fn erase(&self, users: &[String]) -> Result<(), StoreError> {
        let Some(key) = self.store.erasure_key().filter(|_| !users.is_empty()) else {
            return Ok(());
        };
        let act = Act {
            by: "the worker that reconciles".to_owned(),
            command: ERASE_DELETED,
            arguments: json!({}),
            why: Some(format!(
                "deleted at Auth0 more than {} days ago (ERASE_AFTER_DELETION_D)",
                self.after.as_secs() / 86_400
            )),
        };
        let erased = self.store.erase(users, key, &act, true).await?;
        if !erased.is_empty() {
            info!(users = erased.len(), "erased users who were deleted at Auth0");
        }
        Ok(())
    }
}

fn of_error(error: &CallError) -> Asked {
    match error {
        CallError::Refused { .. }
        | CallError::Later {
            why: LaterWhy::BadAnswer | LaterWhy::NotFound,
            ..
        } => Asked::Unclear,
        _ => Asked::Failed,
    }
}
