//! The brake's count of a window does not depend on what a worker remembers.

use crate::world::World;
use crate::world::oracle::ROLE;

const LIMIT: f64 = 60.0;
const GRANTED: &str = "SELECT count(*) FROM role_changes WHERE change = 'granted'";

/// Lets these users earn the role, each after the one before has it, until the brake engages. Returns how many have it.
async fn earn_one_by_one(world: &World, users: std::ops::Range<u32>) -> i64 {
    let engaged = "SELECT count(*) FROM brakes WHERE change = 'granted' AND engaged_at IS NOT NULL";
    for n in users {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        world.earn(&user, &format!("pl_{n}")).await;
        world
            .eventually("the role is there, or the brake is engaged", async || {
                world.roles(&user) == ["mentor", ROLE] || world.number(engaged).await == Some(1)
            })
            .await;
    }
    world.number(GRANTED).await.expect("a number")
}

async fn world() -> World {
    World::builder()
        .workers(0)
        .limit("brake_grants", LIMIT)
        .limit("brake_grants_share", 0.0)
        .start()
        .await
}

/// Ends the session with the lock of the worker that reconciles, and waits until the other one reconciles.
async fn hand_over(world: &World) {
    let reconciles = async || {
        let workers = world.workers();
        let mut active = vec![];
        for worker in &workers {
            active.push(worker.is_active("reconcile").await);
        }
        active
    };
    let before = reconciles().await;
    let cut = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database() AND a.pid <> pg_backend_pid()";
    world
        .eventually("the other worker reconciles", async || {
            let now = reconciles().await;
            if now == before {
                sqlx::query(cut)
                    .execute(&world.db)
                    .await
                    .expect("Postgres responds");
            }
            now.iter().filter(|active| **active).count() == 1 && now != before
        })
        .await;
}

#[tokio::test]
async fn a_takeover_and_back_lets_no_more_grants_through() {
    let world = world().await;
    world.start_worker().await;
    world.start_worker().await;
    assert_eq!(earn_one_by_one(&world, 0..2).await, 2);
    hand_over(&world).await;
    assert_eq!(earn_one_by_one(&world, 2..50).await, 50);
    hand_over(&world).await;
    let granted = earn_one_by_one(&world, 50..70).await;
    assert!(granted <= 60, "{granted} grants inside the window");
}

#[tokio::test]
async fn a_wider_window_counts_from_the_first_change_on() {
    let world = world().await;
    world.start_worker().await;
    world
        .told(&["limits", "set", "brake_window_s", "1", "--why", "a test"])
        .await;
    assert_eq!(earn_one_by_one(&world, 0..70).await, 70);
    world
        .told(&["limits", "set", "brake_window_s", "3600", "--why", "a test"])
        .await;
    let granted = earn_one_by_one(&world, 70..90).await;
    assert!(
        granted <= 72,
        "{granted} grants, 70 of them before the wider window"
    );
}
