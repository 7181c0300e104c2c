//! External acts in the tenant: by its users, by people in the Dashboard, by other clients.
//!
//! Owns the changes of users from inside the process. They obey the same rules and leave the same records as over HTTP, but
//! use no rate limit and are not in the call log, which is for HTTP. Another client that must compete for the limit calls over
//! HTTP.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tenant;
use super::calls::Actor;
use super::change::Change;
use super::errors::ApiError;
use super::linking;
use super::merge::Object;
use super::profile;
use super::state::State;
use super::users_api;

impl Tenant {
    /// Creates a user without a log record, as initial data. `user_id` is the whole id, of any provider; `profile` has root
    /// attributes as in POST, `app_metadata` and `user_metadata`.
    pub fn seed_user(&self, user_id: &str, profile: Value) -> Result<Value, ApiError> {
        self.add(user_id, profile, Actor::Unrecorded)
    }

    /// Lets the user sign up: record `ss`. Arguments as for [`Self::seed_user`].
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

    /// Lets the user log in: sets count and date of logins, and leaves record `s`. An error for an unknown or blocked user.
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

    /// Lets the user follow the link in the verification mail: the e-mail address is verified, record `sv`.
    pub fn verify_email(&self, user_id: &str) -> Result<Value, ApiError> {
        self.change(Actor::User, |state, now| {
            let before = state.users.get(user_id).ok_or_else(ApiError::unknown_user)?;
            let verified = object(serde_json::json!({"email_verified": true}))?;
            Ok(Some(Change::EmailVerified {
                user: profile::patched(before, &verified, now),
            }))
        })
    }

    /// Edits the user as a person in the Dashboard: record `sapi` with the Dashboard's channel. Returns the user afterwards.
    pub fn dashboard_edit(&self, user_id: &str, patch: Value) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Dashboard)
    }

    /// Patches the user as another client: record `sapi` with its id.
    pub fn edit_by_other_client(
        &self,
        client_id: &str,
        user_id: &str,
        patch: Value,
    ) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Client(client_id.to_owned()))
    }

    /// Changes the user without a log record, as an Action does.
    pub fn edit_unrecorded(&self, user_id: &str, patch: Value) -> Result<Value, ApiError> {
        self.patch(user_id, patch, Actor::Unrecorded)
    }

    fn patch(&self, user_id: &str, patch: Value, by: Actor) -> Result<Value, ApiError> {
        let limit = self.shared.options.profile_limit;
        self.change(by, |state, now| {
            Ok(users_api::patch(&state.users, user_id, object(patch)?, now, limit)?.change)
        })
    }

    /// Deletes the user as a person in the Dashboard: records `sdu` and `sapi`. Returns false for an unknown user.
    pub fn delete_user(&self, user_id: &str) -> bool {
        let there = |state: &mut State, _| Ok(users_api::delete(&state.users, user_id).change);
        self.change::<ApiError>(Actor::Dashboard, there)
            .is_ok_and(|user| !user.is_null())
    }

    /// Links the user `secondary` to `primary`, as `by` does; returns the primary afterwards.
    pub fn link(&self, by: Actor, primary: &str, secondary: &str) -> Result<Value, ApiError> {
        let (provider, id) = secondary.split_once('|').unwrap_or(("auth0", secondary));
        let sent = object(json!({"provider": provider, "user_id": id}))?;
        self.change(by, |state, now| {
            Ok(Some(linking::link(&state.users, primary, sent, now)?.1))
        })
    }

    /// Unlinks the identity `secondary` from `primary`, as `by` does; returns the primary afterwards.
    pub fn unlink(&self, by: Actor, primary: &str, secondary: &str) -> Result<Value, ApiError> {
        let (provider, id) = secondary.split_once('|').unwrap_or(("auth0", secondary));
        let identity = (provider.to_owned(), id.to_owned());
        self.change(by, |state, now| {
            Ok(Some(
                linking::unlink(&state.users, primary, Some(&identity), now)?.1,
            ))
        })
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
