//! F40: the old primary lives on, and one worker still talks to it: with a synchronous replica it writes nothing; with an asynchronous
//! one both may write until the first record of the other's write is seen (60 s at most with a log stream), then both stop and report it;
//! right again after `resume`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{FOLDED, Pair, names};
use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::proxy::Proxy;
use crate::world::{Worker, World, text};

/// Longest time until both workers have seen a record of the other's write.
const SEEN_WITHIN: Duration = Duration::from_mins(1);
/// Delay of each record: it comes once its user was read. A record before that is not asked about.
const TOLD_AFTER: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(5);
const STOPPED: &str = "SELECT count(*) FROM pause WHERE unknown_write";

/// A worker, and its way to the tenant.
struct Reconciler {
    worker: Worker,
    way: Proxy,
}

/// Starts a worker that writes through a proxy, with this database.
async fn reconciler(world: &World, database: &str) -> Reconciler {
    let (worker, way) = world.start_worker_by_proxy(&[("DATABASE_URL", database)]).await;
    Reconciler { worker, way }
}

/// The address of the replica's database.
fn of_replica(pair: &Pair) -> String {
    let database = pair.world.setting("DATABASE_URL");
    pair.replica.url(database.rsplit('/').next().expect("a database"))
}

/// Promotes the replica, while the primary goes on.
async fn promoted_beside(pair: &Pair) {
    pair.way.vanish();
    pair.replica.promote().await.expect("it is promoted");
}

#[tokio::test]
async fn f40_the_old_primary_of_a_synchronous_replica_writes_nothing() {
    let pair = Pair::start_synchronous().await;
    let old = reconciler(&pair.world, &pair.world.setting("DATABASE_URL")).await;
    let users = names("a", 3);
    pair.known(&users).await;
    promoted_beside(&pair).await;
    old.way.hold(b"PATCH /");
    pair.earn(&users).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting = async || pair.world.number(waits).await > Some(0);
    pair.world
        .eventually("a commit waits for the replica", waiting)
        .await;
    let new = reconciler(&pair.world, &of_replica(&pair)).await;
    let written = async || pair.all_have(&users);
    pair.world.eventually("the other worker writes", written).await;
    let unready = async || !old.worker.is_ready().await;
    pair.world
        .eventually_within(SEEN_WITHIN, "it reports that it cannot work", unready)
        .await;
    assert_eq!((old.way.held(), pair.world.patches()), (0, 3));
    assert!(new.worker.is_ready().await);
}

#[tokio::test]
async fn f40_both_primaries_of_a_late_replica_stop_at_a_record() {
    let mut pair = Pair::start().await;
    let old = reconciler(&pair.world, &pair.world.setting("DATABASE_URL")).await;
    let (of_old, of_new) = (names("a", 3), names("b", 3));
    let all = [&of_old[..], &of_new[..]].concat();
    pair.known(&all).await;
    let folded = pair.world.number(FOLDED).await.expect("a cursor");
    let copied = async || pair.copied(FOLDED).await == folded;
    pair.world.eventually("the replica has it", copied).await;
    promoted_beside(&pair).await;
    let database = of_replica(&pair);
    let new = reconciler(&pair.world, &database).await;
    pair.world.connect_log_stream_delayed(TOLD_AFTER).await;
    // Each reads the other's users once these are written.
    old.way.hold(b"GET /api/v2/users/auth0%7Cb");
    new.way.hold(b"GET /api/v2/users/auth0%7Ca");
    pair.earn(&all).await;
    let both = async || pair.all_have(&all);
    pair.world.eventually("both write", both).await;
    assert_eq!(pair.world.patches(), 6);
    old.way.let_go();
    new.way.let_go();
    let stopped = async || pair.world.number(STOPPED).await == Some(1) && pair.copied(STOPPED).await == 1;
    pair.world
        .eventually_within(SEEN_WITHIN, "both stop", stopped)
        .await;
    for one in [&old, &new] {
        let tells = |line: &String| line.starts_with("writes are stopped");
        let told = async || one.worker.messages().iter().any(tells) && !one.worker.is_ready().await;
        pair.world.eventually("it reports it", told).await;
    }
    old.worker.kill9().await;
    pair.taken_over();
    resumed(&pair, &database).await;
    let last = ["a0", "b0"]
        .map(|name| retraction(&format!("r-{name}"), &format!("{name}-0"), &format!("pl_{name}")));
    pair.world.publish(&last).await;
    let kept = ["a1", "a2", "b1", "b2"];
    let right = async || {
        all.iter()
            .all(|name| pair.world.has(name, ROLE) == kept.contains(&name.as_str()))
    };
    pair.world.eventually("roles are right again", right).await;
    pair.world.quiet().await;
    assert!(new.worker.is_ready().await);
}

/// The operator has ended the old worker.
async fn resumed(pair: &Pair, database: &str) {
    let resume = ["resume", "--why", "one primary"];
    let resumed = pair
        .world
        .command_with(&resume, &[("DATABASE_URL", database)])
        .await;
    assert!(resumed.status.success(), "{}", text(&resumed));
}
