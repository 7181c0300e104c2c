//! Postgres with a replica that is promoted, and the address of the workers follows the primary.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rolekeeper_sandbox::servers::Postgres;
use sqlx::PgPool;

use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::proxy::Proxy;
use crate::world::{World, poll, user};

mod asynchronous;
mod synchronous;
mod two_primaries;

/// Longest time to the end of a copy that is promoted.
const PROMOTED_WITHIN: Duration = Duration::from_secs(30);

const FOLDED: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";

/// A primary with a replica. Workers reach the primary through a proxy, and so does the replica.
struct Pair {
    world: World,
    replica: Postgres,
    /// From the replica to the primary.
    way: Proxy,
    /// The database of the replica.
    copy: PgPool,
}

impl Pair {
    async fn start() -> Self {
        let world = World::builder().own_postgres().postgres_proxy().workers(0);
        let world = world.env("SWEEP_INTERVAL_S", 1).start().await;
        let way = Proxy::start(address(world.postgres().await.port())).await;
        let replica = Postgres::replica_of(way.port()).await.expect("it follows");
        let name = world.setting("DATABASE_URL");
        let name = name.rsplit('/').next().expect("a database");
        let copy = PgPool::connect_lazy(&replica.url(name)).expect("a valid URL");
        Self {
            world,
            replica,
            way,
            copy,
        }
    }

    /// The same, and a commit of the primary waits for the replica.
    async fn start_synchronous() -> Self {
        let pair = Self::start().await;
        let waits = pair.world.postgres().await.wait_for_replica().await;
        waits.expect("it waits");
        pair
    }

    /// The primary dies, the replica takes its place, and the address of the workers leads to it; returns the time of the
    /// promotion.
    async fn fails_over(&self) -> Instant {
        self.world.postgres().await.kill().await.expect("it ends");
        self.way.refuse();
        self.replica.promote().await.expect("it is promoted");
        let promoted = Instant::now();
        self.world.postgres_proxy().lead_to(address(self.replica.port()));
        promoted
    }

    /// From now on the story reads the promoted server.
    fn taken_over(&mut self) {
        self.world.db = self.copy.clone();
    }

    /// The number that a query returns at the replica, which has it soon.
    async fn copied(&self, query: &'static str) -> i64 {
        let number = async || sqlx::query_scalar(query).fetch_one(&self.copy).await.ok();
        poll(PROMOTED_WITHIN, number).await.expect("the replica responds")
    }

    /// Mentors with a playlist of their own each.
    async fn known(&self, names: &[String]) {
        for name in names {
            self.world.seed_user(&user(name), &["mentor"]);
            let list = format!("pl_{name}");
            self.world
                .publish(&[saved(&format!("s-{name}"), &list, &user(name))])
                .await;
        }
        self.world.quiet().await;
    }

    /// A hundred plays of each of these users.
    async fn earn(&self, names: &[String]) {
        for name in names {
            self.world
                .publish(&plays(name, &format!("pl_{name}"), 0..100))
                .await;
        }
    }

    fn all_have(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.world.has(name, ROLE))
    }
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Names with this letter.
fn names(letter: &str, number: u32) -> Vec<String> {
    (0..number).map(|n| format!("{letter}{n}")).collect()
}
