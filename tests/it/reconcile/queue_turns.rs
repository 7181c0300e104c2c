//! Order in the queue: a count that flaps, a user who is written continuously, and holders adopted by hand.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use rolekeeper_sandbox::tenant::TenantOptions;
use serde_json::json;

use crate::world::events::{play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, World, gaps};

#[tokio::test]
async fn a_flapping_count_does_not_wait_for_the_end_of_a_grace() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "grace = \"2h\""));
    let world = World::builder()
        .env("RULES_FILE", file.path().display())
        .start()
        .await;
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.settled().await;
    world.publish(&[retraction("r1", "a-1", "pl_1")]).await;
    let timer = "SELECT count(*) FROM work_queue WHERE enqueued_at > now() + interval '1 hour'";
    world
        .eventually("her grace runs", async || world.number(timer).await == Some(1))
        .await;
    let pause = "INSERT INTO pause (reason) VALUES ('a test')";
    sqlx::query(pause).execute(&world.db).await.expect("a pause");
    let there_and_back = |n: u32| {
        [
            play(&format!("u{n}"), "pl_1"),
            retraction(&format!("d{n}"), &format!("u{n}"), "pl_1"),
        ]
    };
    world
        .publish(&(0..50).flat_map(there_and_back).collect::<Vec<_>>())
        .await;
    world.publish(&[play("last", "pl_1")]).await;
    let waits = "SELECT count(*) FROM work_queue WHERE enqueued_at <= now() AND due_at <= now() + interval '10 seconds'";
    world
        .eventually("she waits from now on", async || {
            world.number(waits).await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn an_endless_writer_of_one_user_costs_a_read_a_second() {
    let tenant = TenantOptions {
        latency: Duration::from_millis(200)..=Duration::from_millis(300),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(tenant).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    let mut often = tokio::time::interval(Duration::from_millis(100));
    for n in 0..40 {
        often.tick().await;
        let theirs = json!({"app_metadata": {"roles": ["mentor", format!("r{n}")]}});
        world
            .tenant
            .edit_by_other_client("crm", ANN, theirs)
            .expect("an edit");
    }
    world.settled().await;
    let reads: Vec<_> = world
        .calls_of(ANN)
        .into_iter()
        .filter(|call| call.endpoint == ReadUser)
        .collect();
    // Over all: on a busy machine a read that was late may be followed by one in time.
    let gaps = gaps(&reads);
    let seconds: f64 = gaps.iter().sum();
    assert!(reads.len() as f64 <= seconds + 2.0, "{gaps:?}");
}

/// Reconcile locks queue entries before assignments; `adopt` does the same, or Postgres would end one of the two.
#[tokio::test]
async fn adopt_and_an_attempt_lock_in_one_order() {
    let world = World::builder().workers(0).start().await;
    let known = "INSERT INTO assignments (user_id, role, wanted, has_role, adopted) VALUES ('auth0|ann', 'playlist_editor', true, true, false)";
    sqlx::query(known).execute(&world.db).await.expect("a holder");
    let queued = "INSERT INTO work_queue (user_id, priority) VALUES ('auth0|ann', 1)";
    sqlx::query(queued)
        .execute(&world.db)
        .await
        .expect("a queue entry");
    let mut attempt = world.db.begin().await.expect("a transaction");
    let lock = "SELECT FROM work_queue WHERE user_id = 'auth0|ann' FOR UPDATE";
    sqlx::query(lock).execute(&mut *attempt).await.expect("a lock");
    let adopt = world.command(&["adopt", "--user", ANN]);
    let rest = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        world
            .eventually("adopt waits", async || world.number(waiting).await == Some(1))
            .await;
        let seen = "UPDATE assignments SET verified_at = now() WHERE user_id = 'auth0|ann'";
        sqlx::query(seen)
            .execute(&mut *attempt)
            .await
            .expect("no deadlock");
        attempt.commit().await.expect("no deadlock");
    };
    let (output, ()) = tokio::join!(adopt, rest);
    assert!(output.status.success(), "{}", crate::world::text(&output));
}
