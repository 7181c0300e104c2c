//! The times of the single steps alone: a publish with its acknowledgement, a commit of one row, a read and a write of a user.
//!
//! Owns these four, on the same servers, while the worker is idle. Must never do more than the minimum: one statement per
//! commit, one open connection to the tenant.

use std::time::{Duration, Instant};

use anyhow::Result;
use async_nats::jetstream::Context;
use rolekeeper_sandbox::traffic::management::Management;
use rolekeeper_sandbox::traffic::stream::APP_EVENTS;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::ground::Ground;
use crate::latency_plays::{self, Outgoing, PER_SECOND};
use crate::latency_script::play;
use crate::latency_world::{BYSTANDER, PLAIN_CLIENT, SECRET, World};
use crate::times::Times;

const STREAM: &str = "BARE";
const PUBLISHES: usize = 4 * PER_SECOND;
const COMMITS: i64 = 1_500;
/// Commits per second, about as many as the worker makes under the load of a round.
const COMMIT_EVERY: Duration = Duration::from_millis(2);
/// Number of calls, each with a read and a write.
const CALLS: usize = 150;

/// The times of each step.
#[derive(Debug, Default)]
pub(crate) struct BareTimes {
    pub(crate) publish: Times,
    pub(crate) commit: Times,
    pub(crate) get: Times,
    pub(crate) patch: Times,
}

/// The connections for the steps.
pub(crate) struct Bare {
    jetstream: Context,
    published: usize,
    db: PgConnection,
    committed: i64,
    management: Management,
}

impl Bare {
    pub(crate) async fn prepare(ground: &Ground, world: &World) -> Result<Self> {
        let jetstream = world.jetstream.clone();
        let mut same = jetstream
            .get_stream(APP_EVENTS)
            .await?
            .cached_info()
            .config
            .clone();
        STREAM.clone_into(&mut same.name);
        same.subjects = vec!["bare.>".to_owned()];
        same.subject_transform = None;
        jetstream.create_stream(same).await?;
        let mut db = PgConnection::connect(&ground.postgres.url("postgres")).await?;
        sqlx::raw_sql("CREATE TABLE bare (number bigint PRIMARY KEY)")
            .execute(&mut db)
            .await?;
        Ok(Self {
            jetstream,
            published: 0,
            db,
            committed: 0,
            management: Management::connect(&world.tenant, PLAIN_CLIENT, SECRET).await?,
        })
    }

    /// Measures all four, one after the other.
    pub(crate) async fn measure(&mut self) -> Result<BareTimes> {
        let mut times = BareTimes {
            publish: self.publish().await?,
            ..BareTimes::default()
        };
        let mut tick = tokio::time::interval(COMMIT_EVERY);
        for _ in 0..COMMITS {
            tick.tick().await;
            self.committed += 1;
            let insert = sqlx::query("INSERT INTO bare VALUES ($1)").bind(self.committed);
            let began = Instant::now();
            insert.execute(&mut self.db).await?;
            times.commit.push(began.elapsed());
        }
        for number in 0..CALLS {
            times.get.push(self.call(None).await?);
            let roles = if number % 2 == 0 {
                json!(["beta_tester"])
            } else {
                json!([])
            };
            let patch = json!({"app_metadata": {"roles": roles}});
            times.patch.push(self.call(Some(&patch)).await?);
        }
        Ok(times)
    }

    async fn publish(&mut self) -> Result<Times> {
        let mut events: Vec<Outgoing> = vec![];
        for _ in 0..PUBLISHES {
            self.published += 1;
            let mut event = play(format!("bare_{}", self.published), 0);
            event.subject.insert_str(0, "bare.");
            events.push(event);
        }
        let published = latency_plays::publish(&self.jetstream, events).await?;
        Ok(latency_plays::acked(&published))
    }

    async fn call(&self, patch: Option<&Value>) -> Result<Duration> {
        let began = Instant::now();
        let answer = self.management.user(BYSTANDER, patch).await?;
        answer.error_for_status()?.bytes().await?;
        Ok(began.elapsed())
    }
}
