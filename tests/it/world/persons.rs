//! Persons with several ids: linking them at the tenant, and what a story expects of them.
//!
//! Owns the model: a person is the account at the tenant and the ids in its `identities`. Must never query the worker's table of
//! links.

use std::collections::BTreeMap;

use rolekeeper_sandbox::tenant::{Actor, Tenant};
use serde_json::Value;

use super::World;
use crate::world::oracle::ROLE;

/// The account of a person in most stories, and the id that is linked to it.
pub(crate) const ANN: &str = "auth0|ann";
pub(crate) const GOOGLE: &str = "google-oauth2|7";

/// All ids of an account of the tenant.
pub(crate) fn ids_of(tenant: &Tenant, user: &str) -> Vec<String> {
    let account = tenant.user(user).unwrap_or_default();
    let identities = account["identities"].as_array().cloned().unwrap_or_default();
    let linked = identities.iter().map(|identity| {
        let part = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
        format!("{}|{}", part("provider"), part("user_id"))
    });
    linked.chain([user.to_owned()]).collect()
}

/// The app, which links accounts.
pub(crate) fn app() -> Actor {
    Actor::Client("app-m2m".to_owned())
}

/// An announced change: granted or revoked, with its reason.
pub(crate) type Told = (String, Option<String>);

impl World {
    /// Two accounts of one person, each read once: the second has the role with a playlist of its own.
    pub(crate) async fn two_accounts() -> Self {
        let world = Self::start().await;
        world.connect_log_stream().await;
        world.two_accounts_here().await;
        world
    }

    pub(crate) async fn two_accounts_here(&self) {
        self.seed_user(ANN, &["mentor"]);
        self.seed_user(GOOGLE, &[]);
        for user in [ANN, GOOGLE] {
            self.tenant.login(user).expect("a login");
        }
        self.earn(GOOGLE, "pl_google").await;
        self.eventually("both were read, one has the role", async || {
            let read = "SELECT count(*) FROM users WHERE fetched_at IS NOT NULL";
            self.roles(GOOGLE) == [ROLE] && self.number(read).await == Some(2) && self.is_quiet().await
        })
        .await;
    }

    /// The app links the second account to the first.
    pub(crate) fn link(&self) {
        self.tenant.link(app(), ANN, GOOGLE).expect("a link");
    }

    pub(crate) fn unlink(&self) {
        self.tenant.unlink(app(), ANN, GOOGLE).expect("an unlink");
    }

    /// Waits until the first account has the role that the linked one earned.
    pub(crate) async fn role_follows(&self) {
        self.eventually("the primary has the role", async || {
            self.roles(ANN) == ["mentor", ROLE]
        })
        .await;
    }

    /// The end of each story about one link: the role, and one announcement of each change.
    pub(crate) async fn ends_with_the_primary(&self) {
        self.role_follows().await;
        self.settled().await;
        self.all_told().await;
        let changes = self.told_by_user().await;
        assert_eq!(
            changes[GOOGLE],
            [told("granted", None), told("revoked", Some("linked"))]
        );
        assert_eq!(changes[ANN], [told("granted", None)]);
        self.linked(1).await;
    }

    /// Waits until everything is done, with these roles of the user.
    pub(crate) async fn rests_with(&self, user: &str, roles: &[&str]) {
        self.eventually("the user has the roles", async || {
            self.roles(user) == roles && self.is_quiet().await
        })
        .await;
    }

    /// Deletes an account and moves its person; returns the output.
    pub(crate) async fn deleted_and_moved(&self, old: &str, new: &str) -> String {
        assert!(self.tenant.delete_user(old));
        self.quiet().await;
        self.told(&["move", old, new, "--why", "a story"]).await
    }

    pub(crate) async fn linked(&self, ids: i64) {
        self.count_is("the links are stored", "SELECT count(*) FROM identities", ids)
            .await;
    }

    /// The announced changes in the stream, by user, oldest first.
    pub(crate) async fn told_by_user(&self) -> BTreeMap<String, Vec<Told>> {
        let stream = self
            .jetstream
            .get_stream("ROLE_CHANGES")
            .await
            .expect("the stream");
        let last = stream.cached_info().state.last_sequence;
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for seq in 1..=last {
            let message = stream.get_raw_message(seq).await.expect("a message");
            let json: Value = serde_json::from_slice(&message.payload).expect("JSON");
            let text = |name: &str| json[name].as_str().map(str::to_owned);
            let change = (text("change").expect("a change"), text("reason"));
            told.entry(text("user_id").expect("a user"))
                .or_default()
                .push(change);
        }
        told
    }

    /// Waits until every completed change is announced.
    pub(crate) async fn all_told(&self) {
        let open = "SELECT count(*) FROM role_changes
            WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked')";
        self.count_is("everything is announced", open, 0).await;
    }
}

pub(crate) fn told(change: &str, reason: Option<&str>) -> Told {
    (change.to_owned(), reason.map(str::to_owned))
}
