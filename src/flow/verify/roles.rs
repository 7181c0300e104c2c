//! Compares the stored roles of holders with their profiles at Auth0.
//!
//! Owns the pace, within the share of the rate limit that a command may use, and that a change under way is no difference. Must never
//! write at Auth0: it has a reader.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::listed::list;
use crate::auth0::{CallError, Profile, Reader};
use crate::flow::discovery::calls::{Calls, Paid};
use crate::flow::discovery::progress::Report;
use crate::store::stored_holders::Holder;
use crate::store::{Store, StoreError};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::pacer::RatePlan;
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::rule::Rules;

/// Reads of a user whose stored roles change meanwhile.
const TRIES: u32 = 3;

/// The result of the comparison with Auth0.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Roles {
    /// Holders whose profile was read.
    pub users: u64,
    /// Of them, users who differ, but wait in the work queue.
    pub waiting: u64,
    /// Roles that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<RoleDifference>,
    /// Users whose profile does not tell, with the reason; the first of them.
    pub not_checked: Vec<NotRead>,
    /// The run was interrupted: users after these were not compared.
    pub interrupted: bool,
}

/// A stored role that is not that of the profile.
#[derive(Clone, Debug, Serialize)]
pub struct RoleDifference {
    /// The user.
    pub user_id: String,
    /// The role.
    pub role: String,
    /// Whether Postgres has the role.
    pub stored: bool,
    /// Whether the profile has it; none where Auth0 does not know the user.
    pub at_auth0: Option<bool>,
}

/// A user whose profile does not tell.
#[derive(Clone, Debug, Serialize)]
pub struct NotRead {
    /// The user.
    pub user_id: String,
    /// The reason.
    pub why: String,
}

/// The reason why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Auth0 refused, or failed for minutes.
    #[error("Auth0: {0}")]
    Auth0(#[from] CallError),
    /// The database belongs to another tenant.
    #[error("the database belongs to the tenant {0}, and AUTH0_DOMAIN is another one")]
    OtherTenant(String),
}

/// A comparison of stored roles with Auth0.
pub struct RolesRun<'a> {
    store: &'a Store,
    reader: Reader,
    calls: Calls,
    roles: Vec<String>,
    stop: CancellationToken,
    found: Roles,
}

/// The content of a profile.
enum Shown {
    Roles(Vec<String>),
    Absent,
    Unclear(String),
}

impl<'a> RolesRun<'a> {
    /// Prepares a run for these managed roles. `own_reserve`: the share of the rate limit that the settings leave to other clients.
    ///
    /// # Errors
    /// Auth0 issues no token, or the database belongs to another tenant.
    pub async fn new(
        store: &'a Store,
        reader: Reader,
        (plan, own_reserve): (RatePlan, Option<f64>),
        report: fn(&str),
        stop: CancellationToken,
    ) -> Result<Self, RolesError> {
        reader.authorize().await?;
        if let Some(tenant) = store.tenant().await?.filter(|tenant| *tenant != reader.tenant()) {
            return Err(RolesError::OtherTenant(tenant));
        }
        let rules = store.rules_in_force().await?.map(|in_force| in_force.rules);
        let rules = rules.iter().flat_map(Rules::as_slice);
        let report = Report::new(report);
        Ok(Self {
            store,
            reader,
            calls: Calls::beside_the_worker(store, plan, own_reserve, report).await?,
            roles: rules.map(|rule| rule.role.clone()).collect(),
            stop,
            found: Roles::default(),
        })
    }

    /// Compares all holders; `progress` is called with the number of users done so far.
    ///
    /// # Errors
    /// Postgres does not respond, or Auth0 refuses or fails.
    pub async fn run(mut self, mut progress: impl FnMut(u64)) -> Result<Roles, RolesError> {
        let mut after = String::new();
        loop {
            let holders = self.store.holders_after(&after, &self.roles).await?;
            let Some(last) = holders.last() else {
                return Ok(self.found);
            };
            after.clone_from(&last.user_id);
            for holder in holders {
                let stop = self.stop.clone();
                let Some(compared) = stop.run_until_cancelled(self.compare(holder)).await else {
                    self.found.interrupted = true;
                    return Ok(self.found);
                };
                compared?;
                self.found.users += 1;
                progress(self.found.users);
            }
        }
    }

    async fn compare(&mut self, mut holder: Holder) -> Result<(), RolesError> {
        for _ in 0..TRIES {
            let differences = match self.shown(&holder.user_id).await? {
                Shown::Unclear(why) => {
                    self.not_read(holder.user_id, why);
                    return Ok(());
                }
                Shown::Absent => self.differing(&holder, None),
                Shown::Roles(shown) => self.differing(&holder, Some(&shown)),
            };
            if differences.is_empty() {
                return Ok(());
            }
            // The worker may have written, or read, the profile meanwhile.
            let now = self.store.holder(&holder.user_id, &self.roles).await?;
            if now.waits {
                self.found.waiting += 1;
                return Ok(());
            }
            if now.roles == holder.roles {
                self.found.differing += differences.len() as u64;
                list(&mut self.found.differences, differences);
                return Ok(());
            }
            holder = now;
        }
        self.not_read(
            holder.user_id,
            "its roles changed several times meanwhile".to_owned(),
        );
        Ok(())
    }

    async fn shown(&self, user_id: &str) -> Result<Shown, RolesError> {
        let Ok(user) = UserId::parse(user_id) else {
            return Ok(Shown::Unclear("the stored id is not valid".to_owned()));
        };
        let read = self
            .calls
            .make(Paid::Users, async || self.reader.get_needed(&user).await);
        match read.await {
            Ok(profile) => Ok(shown(&profile)),
            Err(CallError::Gone { .. }) => Ok(Shown::Absent),
            Err(why @ CallError::Refused { .. }) => Ok(Shown::Unclear(why.to_string())),
            Err(why) => Err(why.into()),
        }
    }

    fn differing(&self, holder: &Holder, shown: Option<&[String]>) -> Vec<RoleDifference> {
        let one = |role: &String| RoleDifference {
            user_id: holder.user_id.clone(),
            role: role.clone(),
            stored: holder.roles.contains(role),
            at_auth0: shown.map(|shown| shown.contains(role)),
        };
        let all = self.roles.iter().map(one);
        all.filter(|one| one.stored != one.at_auth0.unwrap_or(false))
            .collect()
    }

    fn not_read(&mut self, user_id: String, why: String) {
        list(&mut self.found.not_checked, [NotRead { user_id, why }]);
    }
}

fn shown(profile: &Profile) -> Shown {
    if profile.may_hide_roles() {
        return Shown::Unclear(
            "Auth0 shows no app_metadata of it, nor of any user before: the client may lack read:users_app_metadata".to_owned(),
        );
    }
    match profile.roles() {
        SeenRoles::Missing => Shown::Roles(Vec::new()),
        SeenRoles::List(list) => Shown::Roles(list),
        SeenRoles::Odd(kind) => Shown::Unclear(format!("its app_metadata.roles is {kind}")),
    }
}
