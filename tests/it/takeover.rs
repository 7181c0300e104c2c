//! Who is active, when workers die, freeze and come back.

use std::time::{Duration, Instant};

use rolekeeper::sandbox::tenant::{Actor, LogStream, Version};
use serde_json::json;

use crate::events::{plays, retraction, saved};
use crate::oracle::ROLE;
use crate::world::{CLIENT, LOG_TOKEN, Worker, World};

/// The stages of which one worker at a time is active.
const STAGES: [&str; 3] = ["fold_app_events", "fold_auth0_logs", "reconcile"];
/// A worker that died is replaced within a second or so; without that it would be the 25 s of a lost session.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(5);
/// Past every timeout of a frozen holder's session.
const FROZEN_WITHIN: Duration = Duration::from_secs(45);

async fn all_active(workers: &[Worker]) -> bool {
    for stage in STAGES {
        let mut active = 0;
        for worker in workers {
            active += u32::from(worker.is_active(stage).await);
        }
        if active != 1 {
            return false;
        }
    }
    true
}

/// F5: one of four dies after another, whatever it is active in.
#[tokio::test]
async fn the_next_worker_takes_over_within_a_moment_of_a_kill() {
    let world = World::builder()
        .workers(4)
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    let mut workers = world.workers();
    let mut slowest = Duration::ZERO;
    for round in 0..3u32 {
        let mut active = 0;
        for (at, worker) in workers.iter().enumerate() {
            if worker.is_active("fold_app_events").await {
                active = at;
            }
        }
        world
            .publish(&plays("a", "pl_1", round * 40..round * 40 + 40))
            .await;
        workers.remove(active).kill9().await;
        let killed = Instant::now();
        world
            .eventually_within(TAKEOVER_WITHIN, "somebody is active again", async || {
                all_active(&workers).await
            })
            .await;
        slowest = slowest.max(killed.elapsed());
    }
    println!("slowest takeover {slowest:?}");
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "playlist_editor"]);
}

/// F5: the active worker freezes with a transaction open, longer than every timeout, and comes back.
#[tokio::test]
async fn a_worker_that_slept_through_a_takeover_does_no_harm() {
    let world = World::builder().postgres_proxy().start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..90)).await;
    world.settled().await;
    let sleeper = world.worker();

    // Slow answers, so that it freezes inside a transaction.
    world.postgres_proxy().delay(Duration::from_millis(300));
    world.publish(&plays("a", "pl_1", 90..105)).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND state = 'idle in transaction' AND query LIKE '%playlists%'";
    world
        .eventually("a fold's transaction is open", async || {
            world.number(open).await == Some(1)
        })
        .await;
    sleeper.sigstop();
    world.postgres_proxy().restore();
    let heir = world.start_worker().await;
    let frozen = Instant::now();
    world
        .eventually_within(FROZEN_WITHIN, "the heir is active", async || {
            all_active(std::slice::from_ref(&heir)).await
        })
        .await;
    println!("takeover from a frozen worker after {:?}", frozen.elapsed());
    world.publish(&plays("a", "pl_1", 105..120)).await;
    world.settled().await;

    sleeper.sigcont();
    let both = [sleeper.clone(), heir.clone()];
    world
        .eventually("the sleeper stands by", async || {
            sleeper.is_ready().await && all_active(&both).await
        })
        .await;
    assert!(heir.is_active("fold_app_events").await);
    let retractions: Vec<_> = (0..21)
        .map(|n| retraction(&format!("r{n}"), &format!("a-{n}"), "pl_1"))
        .collect();
    world.publish(&retractions).await;
    world.settled().await;
    assert!(world.roles("auth0|ann").is_empty());
}

/// How often we left `user` with the role, or without it.
fn written(world: &World, user: &str, with_role: bool) -> usize {
    let by_us = Actor::Client(CLIENT.to_owned());
    let has_role = |version: &Version| {
        version
            .roles()
            .is_some_and(|roles| roles.to_string().contains(ROLE))
    };
    let history = world.tenant.history(user);
    let ours = history.iter().filter(|version| version.by == by_us);
    ours.filter(|version| has_role(version) == with_role).count()
}

/// Ann earns the role. The worker is frozen when the grant is decided and before it is written; answers the one that is to take
/// over.
async fn freeze_before_its_write(world: &World, sleeper: &Worker) -> Worker {
    world.seed_user("auth0|ann", &["mentor"]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..99)).await;
    world.settled().await;
    // Slow answers: it does not know yet that its decision is committed.
    world.postgres_proxy().delay(Duration::from_millis(300));
    world.publish(&plays("a", "pl_1", 99..100)).await;
    let decided = "SELECT count(*) FROM role_changes WHERE outcome IS NULL";
    world
        .eventually("a grant is decided", async || {
            world.number(decided).await == Some(1)
        })
        .await;
    sleeper.sigstop();
    world.postgres_proxy().restore();
    assert_eq!(written(world, "auth0|ann", true), 0, "it froze too late");

    let heir = world.start_worker().await;
    let webhook = format!("http://{}/auth0/logs", heir.address("LISTEN").await);
    let logs = LogStream::to(webhook, LOG_TOKEN);
    world.tenant.stream_logs(logs).expect("a runtime");
    heir
}

/// F5: the frozen worker's write comes when the heir has given the role and taken it again, and others have changed the list.
#[tokio::test]
async fn a_write_from_before_a_takeover_is_mended_when_it_comes() {
    const ANN: &str = "auth0|ann";
    let world = World::builder()
        .postgres_proxy()
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    let sleeper = world.worker();
    let heir = freeze_before_its_write(&world, &sleeper).await;
    world
        .eventually_within(FROZEN_WITHIN, "the heir gives the role", async || {
            written(&world, ANN, true) == 1
        })
        .await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    world
        .eventually("the heir takes the role", async || {
            written(&world, ANN, false) == 1
        })
        .await;
    let by_hand = json!({"app_metadata": {"roles": ["mentor", "staff"]}});
    world.tenant.dashboard_edit(ANN, by_hand).expect("an edit");
    world
        .eventually("all is quiet", async || world.is_quiet().await)
        .await;

    sleeper.sigcont();
    let roles = || {
        let mut roles = world.roles(ANN);
        roles.sort();
        roles
    };
    world
        .eventually("its late write comes, and is mended", async || {
            written(&world, ANN, true) == 2 && roles() == ["mentor", "staff"] && world.is_quiet().await
        })
        .await;
    assert!(heir.is_active("reconcile").await);
    let audit = world.audit_of(ANN).await;
    let changes: Vec<&str> = audit.iter().map(|(change, _)| change.as_str()).collect();
    assert_eq!(changes, ["granted", "revoked", "granted", "revoked"]);
}

/// F5: the role is not earned any more when the frozen worker's write comes, and the heir had nothing to write.
#[tokio::test]
async fn a_role_that_was_given_too_late_goes_again() {
    let world = World::builder()
        .workers(0)
        .postgres_proxy()
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    world.start_worker_with(&[("ONLY", "fold")]).await;
    let sleeper = world.start_worker_with(&[("ONLY", "reconcile")]).await;
    freeze_before_its_write(&world, &sleeper).await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    world
        .eventually_within(FROZEN_WITHIN, "the heir sees that it is not earned", async || {
            world.is_quiet().await
        })
        .await;
    assert_eq!(written(&world, "auth0|ann", true), 0);

    sleeper.sigcont();
    world
        .eventually("its late write comes", async || {
            written(&world, "auth0|ann", true) == 1
        })
        .await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
}
