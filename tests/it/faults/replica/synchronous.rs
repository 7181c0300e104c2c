//! F38: a synchronous replica of Postgres promoted under load: no event lost, none counted twice, at work again within 15 s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{FOLDED, Pair, names};
use crate::world::events::plays;

/// Longest time from the promotion until the worker folds and writes again.
const AT_WORK_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn f38_a_promoted_replica_loses_and_doubles_nothing() {
    let mut pair = Pair::start_synchronous().await;
    let worker = pair.world.start_worker().await;
    let (before, after) = (names("a", 20), names("b", 20));
    pair.known(&[&before[..], &after[..]].concat()).await;
    let over = AtomicBool::new(false);
    let load = async {
        pair.earn(&before).await;
        let mut round = 0;
        while !over.load(Ordering::Relaxed) {
            let some = plays(&format!("more-{round}"), "pl_a0", 0..500);
            pair.world.publish(&some).await;
            round += 1;
        }
    };
    let failing = async {
        let some = async || pair.world.patches() > 5;
        pair.world.eventually("roles are written", some).await;
        let promoted = pair.fails_over().await;
        let reached = pair.copied(FOLDED).await;
        let left = AT_WORK_WITHIN.saturating_sub(promoted.elapsed());
        let works = async || {
            let folded = sqlx::query_scalar::<_, i64>(FOLDED).fetch_one(&pair.copy).await;
            folded.is_ok_and(|now| now > reached) && pair.all_have(&before) && worker.is_ready().await
        };
        pair.world
            .eventually_within(left, "it is at work again", works)
            .await;
        println!("at work {:?} after the promotion", promoted.elapsed());
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, failing);
    pair.taken_over();
    pair.earn(&after).await;
    pair.world.settled().await;
    assert!(pair.all_have(&after));
}
