//! Display names: requested at the database as the data API does, and read at the tenant.

use rolekeeper::store::Store;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::ids::UserId;
use rolekeeper_sandbox::tenant::Call;
use rolekeeper_sandbox::tenant::Endpoint::PatchUser;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use crate::world::{Builder, World};

pub(crate) fn by_default() -> Builder {
    World::builder().env("DEFAULT_DISPLAY_NAME", "user")
}

/// The database from the data API's side.
pub(crate) fn store(world: &World) -> Store {
    let url = world.db.connect_options().to_url_lossy().to_string();
    Store::new(&url.clone().into(), &url.into()).expect("an address")
}

pub(crate) fn id(user: &str) -> UserId<'_> {
    UserId::parse(user).expect("an id")
}

pub(crate) async fn request_name(store: &Store, user: &str, name: &str) {
    let name = DisplayName::parse(name).expect("a name");
    store
        .request_display_name(&id(user), &name)
        .await
        .expect("Postgres responds");
}

pub(crate) async fn shown(store: &Store, user: &str) -> Option<String> {
    store.display_name(&id(user)).await.expect("Postgres responds")
}

impl World {
    pub(crate) fn metadata(&self, user: &str) -> Value {
        self.tenant.user(user).unwrap_or_default()["user_metadata"].clone()
    }

    /// Bodies of the worker's writes to the user, oldest first.
    pub(crate) fn writes_to(&self, user: &str) -> Vec<Value> {
        let patch = |call: &Call| (call.endpoint == PatchUser).then(|| call.body.clone());
        let calls = self.calls_of(user);
        calls.iter().filter_map(patch).flatten().collect()
    }

    pub(crate) async fn is_named(&self, user: &str, name: &str) {
        self.eventually("the name is written", async || {
            self.metadata(user)["displayName"] == name
        })
        .await;
    }

    /// The same for a user whose last name was written less than a minute ago.
    pub(crate) async fn is_named_a_minute_later(&self, user: &str, name: &str) {
        let passes = "UPDATE display_name_writes SET written_at = written_at - interval '1 minute';
            UPDATE work_queue SET due_at = now() WHERE priority = 2 AND lease IS NULL AND due_at > now() + interval '2 seconds'";
        self.eventually(&format!("{user} is named {name}"), async || {
            let passed = sqlx::raw_sql(passes).execute(&self.db).await;
            passed.expect("Postgres responds");
            self.metadata(user)["displayName"] == name
        })
        .await;
    }

    pub(crate) async fn open_names(&self) -> Vec<Value> {
        self.rows("SELECT user_id, requested, refused FROM display_names ORDER BY user_id")
            .await
    }
}

/// A seeded user with this `user_metadata`, and other data that no write may change.
pub(crate) fn seed(world: &World, user: &str, metadata: &Value) {
    let mut profile = json!({"app_metadata": {"roles": ["mentor"], "plan": "gold"}});
    if !metadata.is_null() {
        profile["user_metadata"] = metadata.clone();
    }
    world.tenant.seed_user(user, profile).expect("a user");
}

pub(crate) fn name_patch(name: &str) -> Value {
    json!({"user_metadata": {"displayName": name}})
}
