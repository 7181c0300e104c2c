//! Mentors with short names: each earns the role with a playlist of their own, and keeps or loses it.

use sqlx::Row as _;
use time::OffsetDateTime;

use crate::world::events::{plays, retraction, saved};
use crate::world::oracle::{self, ROLE};
use crate::world::{CLIENT, World};

pub(crate) fn user(name: &str) -> String {
    format!("auth0|{name}")
}

impl World {
    /// A mentor whose playlist `pl_<name>` gets this number of plays, with ids from `<name>-0` on.
    pub(crate) async fn played(&self, name: &str, count: u32) {
        self.seed_user(&user(name), &["mentor"]);
        let list = format!("pl_{name}");
        let save = saved(&format!("s-{name}"), &list, &user(name));
        self.publish(&[vec![save], plays(name, &list, 0..count)].concat())
            .await;
    }

    /// Retracts the plays with these numbers.
    pub(crate) async fn retracted(&self, name: &str, numbers: std::ops::Range<u32>) {
        let list = format!("pl_{name}");
        let one = |n| retraction(&format!("r-{name}-{n}"), &format!("{name}-{n}"), &list);
        self.publish(&numbers.map(one).collect::<Vec<_>>()).await;
    }

    pub(crate) fn has(&self, name: &str, role: &str) -> bool {
        self.roles(&user(name)).iter().any(|one| one == role)
    }

    /// Waits until exactly these hold the role.
    pub(crate) async fn holders_are(&self, what: &str, names: &[&str], holders: &[&str]) {
        self.eventually(what, async || {
            names
                .iter()
                .all(|name| self.has(name, ROLE) == holders.contains(name))
        })
        .await;
    }

    /// The time since which the user is below the threshold while the role is kept.
    pub(crate) async fn below_since(&self, name: &str) -> Option<OffsetDateTime> {
        let row = sqlx::query("SELECT below_since FROM assignments WHERE user_id = $1 AND role = $2");
        let row = row.bind(user(name)).bind(ROLE).fetch_optional(&self.db).await;
        row.expect("Postgres responds")?.get("below_since")
    }

    /// Waits until that time is recorded.
    pub(crate) async fn fell(&self, name: &str) -> OffsetDateTime {
        self.eventually("the fall is recorded", async || {
            self.below_since(name).await.is_some()
        })
        .await;
        self.below_since(name)
            .await
            .expect("the role is kept for long enough")
    }

    /// The times at which the worker granted and revoked the role, by the tenant's own history.
    pub(crate) fn changes(&self, name: &str) -> Vec<oracle::Change> {
        oracle::changes(&self.tenant, CLIENT, &user(name))
    }

    pub(crate) async fn gone(&self, name: &str) {
        self.eventually("the role is revoked without an event", async || {
            !self.has(name, ROLE)
        })
        .await;
    }

    pub(crate) async fn postgres_now(&self) -> OffsetDateTime {
        let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.db);
        now.await.expect("Postgres responds")
    }
}
