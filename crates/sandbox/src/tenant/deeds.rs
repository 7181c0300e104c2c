//! What others do in the tenant: its users, people at the Dashboard, other clients.
//!
//! Owns the ways to change users from inside the process. They obey the same rules and leave the same
//! records as over HTTP, but use up no rate limit and are not in the call log, which is for HTTP. A rival
//! that should compete for the limit is a client of its own over HTTP.

use serde_json::Value;
use time::OffsetDateTime;

use super::Tenant;
use super::calls::Actor;
use super::errors::ApiError;
use super::merge::Object;
use super::profile;
use super::state::{Change, State};
use super::users_api;

impl Tenant {
    /// A user who was there before anybody looked: leaves no log record. `user_id` is the whole id, of any
    /// provider; `profile` has root attributes as POST takes them, `app_metadata` and `user_metadata`.
    pub fn seed_user(&self, user_id: &str, profile: Value) -> Result<Value, ApiError> {
        self.add(user_id, profile, Actor::Unrecorded)
    }

    /// The user signs up: record `ss`. Arguments as for [`Self::seed_user`].
    pub fn create_user(&self, user_id: &str, profile: Value) -> Result<Value, ApiError> {
        self.add(user_id, profile, Actor::User)
    }

    fn add(&self, user_id: &str, profile: Value, by: Actor) -> Result<Value, ApiError> {
        self.change(by, |state, now| {
            let sent = object(profile)?;
            profile::check_profile(&sent)?;
            if state.users.contains_key(user_id) {
                return Err(ApiError::user_exists());
            }
            Ok(Some(Change::Created {
                user: profile::created(user_id, &sent, now),
                sent,
            }))
        })
    }

    /// The user logs in: counts it, dates it, and leaves record `s`. An error if unknown or blocked.
    pub fn login(&self, user_id: &str) -> Result<Value, ApiError> {
        self.change(Actor::User, |state, now| {
            let before = state.users.get(user_id).ok_or_else(ApiError::unknown_user)?;
            if before.get("blocked") == Some(&true.into()) {
                return Err(ApiError::new(401, None, "user is blocked"));
            }
            Ok(Some(Change::LoggedIn {
                user: profile::logged_in(before, now),
            }))
        })
    }

    /// A person edits the user at the Dashboard: record `sapi` with the Dashboard's channel. Returns the
    /// user afterwards.
    pub fn dashboard_edit(&self, user_id: &str, patch: Value) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Dashboard)
    }

    /// Another client patches the user: record `sapi` with its id.
    pub fn edit_by_other_client(
        &self,
        client_id: &str,
        user_id: &str,
        patch: Value,
    ) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Client(client_id.to_owned()))
    }

    /// A change that no log record tells of, such as an Action's.
    pub fn edit_unrecorded(&self, user_id: &str, patch: Value) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Unrecorded)
    }

    fn patch(&self, user_id: &str, patch: Value, by: Actor) -> Result<Value, ApiError> {
        let limit = self.shared.options.profile_limit;
        self.change(by, |state, now| {
            Ok(users_api::patch(&state.users, user_id, object(patch)?, now, limit)?.change)
        })
    }

    /// A person deletes the user at the Dashboard: records `sdu` and `sapi`. False if there was none.
    pub fn delete_user(&self, user_id: &str) -> bool {
        let there = |state: &mut State, _| Ok(users_api::delete(&state.users, user_id).change);
        self.change::<ApiError>(Actor::Dashboard, there)
            .is_ok_and(|user| !user.is_null())
    }

    /// Decides and commits under one lock; returns the user, or null if nothing was to change.
    pub(super) fn change<E>(
        &self,
        by: Actor,
        decide: impl FnOnce(&mut State, OffsetDateTime) -> Result<Option<Change>, E>,
    ) -> Result<Value, E> {
        let mut state = self.shared.lock();
        let now = crate::now();
        let Some(change) = decide(&mut state, now)? else {
            return Ok(Value::Null);
        };
        state.commit(&change, by, now, &self.shared.options);
        drop(state);
        self.shared.logged.notify_one();
        Ok(change.user().clone().into())
    }
}

fn object(value: Value) -> Result<Object, ApiError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(ApiError::payload("Expected type object", None)),
    }
}
