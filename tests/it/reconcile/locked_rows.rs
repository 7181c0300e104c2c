//! Rows of some users that another client of Postgres has locked: these users alone wait.

use std::time::Duration;

use crate::world::events::deleted;
use crate::world::oracle::ROLE;
use crate::world::persons::{GOOGLE, app};
use crate::world::{ANN, World};

const BOB: &str = "auth0|bob";
const BANNED: [&str; 5] = ["auth0|b1", "auth0|b2", "auth0|b3", "auth0|b4", "auth0|b5"];
/// Users whose rows are locked: more than single decisions at once, and than connections.
const LOCKED: u32 = 12;
/// The others must not wait longer, while the lock stays.
const SOON: Duration = Duration::from_secs(10);

type Lock = sqlx::Transaction<'static, sqlx::Postgres>;

async fn lock(world: &World, rows: &'static str) -> Lock {
    let mut other = world.db.begin().await.expect("a transaction");
    sqlx::query(rows).execute(&mut *other).await.expect("a lock");
    other
}

/// A world in which these users have the role.
async fn holders() -> World {
    let world = World::start().await;
    for n in 0..LOCKED {
        world.seed_user(&format!("auth0|l{n}"), &["mentor"]);
        world.earn(&format!("auth0|l{n}"), &format!("pl_{n}")).await;
    }
    for user in BANNED {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &user.replace("auth0|", "pl_")).await;
    }
    world.settled().await;
    world
}

/// The claim of one user needs the locked row.
#[tokio::test]
async fn a_user_whose_rows_are_locked_holds_up_no_other() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_ann").await;
    world.settled().await;
    let lock = lock(
        &world,
        "SELECT FROM assignments WHERE user_id = 'auth0|ann' FOR UPDATE",
    )
    .await;
    world
        .run_sql("INSERT INTO work_queue (user_id, priority) VALUES ('auth0|ann', 1)")
        .await;
    world.seed_user(BOB, &["mentor"]);
    world.earn(BOB, "pl_bob").await;
    world
        .eventually("the other user has the role", async || {
            world.roles(BOB) == ["mentor", ROLE]
        })
        .await;
    lock.rollback().await.expect("the end of the lock");
    world.settled().await;
}

/// The claims of many users who are up to date need the locked rows.
#[tokio::test]
async fn many_users_whose_rows_are_locked_hold_up_no_other() {
    let world = holders().await;
    let lock = lock(
        &world,
        "SELECT FROM assignments WHERE user_id LIKE 'auth0|l%' FOR UPDATE",
    )
    .await;
    world
        .run_sql("INSERT INTO work_queue (user_id, priority) SELECT 'auth0|l' || n, 0 FROM generate_series(0, 11) AS n")
        .await;
    for user in ["auth0|new1", "auth0|new2", "auth0|new3"] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &user.replace("auth0|", "pl_")).await;
        let granted = async || world.roles(user) == ["mentor", ROLE];
        world
            .eventually_within(SOON, "a new user has the role", granted)
            .await;
    }
    lock.rollback().await.expect("the end of the lock");
    world.settled().await;
}

/// The results of many users who were written need the locked rows.
async fn results_wait_for(rows: &'static str) {
    let world = holders().await;
    let lock = lock(&world, rows).await;
    let deleted: Vec<_> = (0..LOCKED)
        .map(|n| deleted(&format!("d{n}"), &format!("pl_{n}")))
        .collect();
    world.publish(&deleted).await;
    world
        .eventually("the roles are revoked at Auth0", async || {
            (0..LOCKED).all(|n| world.roles(&format!("auth0|l{n}")) == ["mentor"])
        })
        .await;
    // The first ones may come before the results are recorded one by one.
    for user in BANNED {
        world.told(&["pin", user, ROLE, "off", "--why", "a ban"]).await;
        let banned = async || world.roles(user) == ["mentor"];
        world.eventually_within(SOON, "a ban takes effect", banned).await;
    }
    lock.rollback().await.expect("the end of the lock");
    world.quiet().await;
    let revoked = "SELECT count(*) FROM assignments WHERE user_id LIKE 'auth0|l%' AND NOT has_role";
    assert_eq!(world.number(revoked).await, Some(LOCKED.into()));
}

#[tokio::test]
async fn locked_assignments_of_written_users_hold_up_no_ban() {
    results_wait_for("SELECT FROM assignments WHERE user_id LIKE 'auth0|l%' FOR UPDATE").await;
}

#[tokio::test]
async fn locked_profiles_of_written_users_hold_up_no_ban() {
    results_wait_for("SELECT FROM users WHERE user_id LIKE 'auth0|l%' FOR UPDATE").await;
}

/// The transaction that stores a link holds up the fold of plays, and needs the locked row.
#[tokio::test]
async fn a_link_that_waits_for_a_lock_holds_up_no_fold() {
    let world = World::start().await;
    world.connect_log_stream().await;
    for user in [ANN, GOOGLE] {
        world.seed_user(user, &["mentor"]);
        world.tenant.login(user).expect("a login");
    }
    world.earn(GOOGLE, "pl_google").await;
    world.settled().await;
    let rows = "SELECT FROM assignments WHERE user_id LIKE 'google-oauth2|%' FOR UPDATE";
    let lock = lock(&world, rows).await;
    world.tenant.link(app(), ANN, GOOGLE).expect("a link");
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE relation = 'assignments'::regclass AND locktype = 'tuple'";
    let waits = async || world.number(waiting).await > Some(0);
    world.eventually("the link waits for the lock", waits).await;
    world.seed_user(BOB, &["mentor"]);
    world.earn(BOB, "pl_bob").await;
    let granted = async || world.roles(BOB) == ["mentor", ROLE];
    world
        .eventually_within(SOON, "another user has the role", granted)
        .await;
    lock.rollback().await.expect("the end of the lock");
    world.linked(1).await;
}
