//! Another client writes the same roles at the same time.
//!
//! The other client reads, waits and writes over real HTTP, as any client of the tenant does; it overwrites our write
//! in between as we overwrite its write. It keeps a list of its intended changes.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault, TenantOptions};
use serde_json::json;

use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::races::{Other, races, shuffled_logs};
use crate::world::{ANN, CLIENT, LOG_TOKEN, World};

/// Ann earns the role, and between our read and our write the other client makes her roles `theirs`.
async fn race(world: &World, theirs: &[&str]) -> Other {
    let other = Other::start(world).await;
    world.seed_user(ANN, &["mentor", "beta"]);
    let late = CallMatch::to(Endpoint::PatchUser).client(CLIENT);
    world
        .tenant
        .fault_once(late, Fault::Delay(Duration::from_millis(500)));
    world.earn(ANN, "pl_1").await;
    world
        .eventually("our write is in flight", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
    other.write(ANN, &theirs).await;
    other
}

/// F16: another client adds or removes roles between our read and our write: with a record that Auth0 confirms: no
/// role of another client is lost, none is revived, and the race is counted; without a record or a scope: reported,
/// and nothing is written.
#[tokio::test]
async fn f16_a_write_between_our_read_and_our_write_is_restored() {
    let world = World::start().await;
    // Records arrive after all writes.
    shuffled_logs(&world, 1_000..=1_500, 1).await;
    race(&world, &["beta", "vip"]).await;
    world
        .eventually("our write overwrites theirs", async || {
            world.roles(ANN) == ["mentor", "beta", ROLE]
        })
        .await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["vip", "beta", ROLE]);
    let written = ("granted".to_owned(), Some("written".to_owned()));
    assert_eq!(
        world.audit_of(ANN).await,
        [written],
        "the mending is no change of an owned role"
    );
    assert!((races(&world, "merged").await - 1.0).abs() < f64::EPSILON);
    let rows = world
        .rows("SELECT base, ours, theirs, merged, outcome FROM races")
        .await;
    let race = json!({
        "base": ["mentor", "beta"], "ours": ["mentor", "beta", ROLE], "theirs": ["beta", "vip"],
        "merged": ["vip", "beta", ROLE], "outcome": "merged",
    });
    assert_eq!(rows, [race]);
    let patches = world
        .calls_of(ANN)
        .iter()
        .filter(|call| call.endpoint == Endpoint::PatchUser)
        .count();
    assert_eq!(patches, 2, "the grant and the mending, and no echo is followed");
}

#[tokio::test]
async fn f16_a_race_that_no_record_explains_is_left_to_a_person() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    shuffled_logs(&world, 1_000..=1_500, 1).await;
    race(&world, &["beta", "vip"]).await;
    world
        .eventually("our write overwrites theirs", async || {
            world.roles(ANN) == ["mentor", "beta", ROLE]
        })
        .await;
    let unrecorded = json!({"app_metadata": {"roles": ["mentor", ROLE, "staff"]}});
    world.tenant.edit_unrecorded(ANN, unrecorded).expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE, "staff"]);
    assert_eq!(
        world
            .number("SELECT count(*) FROM races WHERE outcome IS NULL")
            .await,
        Some(1)
    );
    // Ten minutes later no record has arrived.
    let aged = "UPDATE races SET found_at = found_at - interval '10 minutes'";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually("it is given up", async || races(&world, "unresolved").await > 0.0)
        .await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE, "staff"], "not touched");
    let told = world.worker().messages();
    assert!(
        told.iter().any(|line| line.contains("correct it by hand")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_role_that_a_stale_write_revives_goes_again() {
    let world = World::start().await;
    shuffled_logs(&world, 100..=300, 1).await;
    let other = Other::start(&world).await;
    for (user, list) in [(ANN, "pl_1"), ("auth0|bob", "pl_2")] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, list).await;
    }
    world.quiet().await;
    let stale = other.read(ANN).await;
    for list in ["pl_1", "pl_2"] {
        let (id, of) = (format!("{list}-taken"), format!("{list}-7"));
        world.publish(&[retraction(&id, &of, list)]).await;
    }
    world
        .eventually("both lose the role", async || {
            world.roles(ANN) == ["mentor"] && world.roles("auth0|bob") == ["mentor"]
        })
        .await;
    other.write(ANN, &[stale, vec!["vip".to_owned()]].concat()).await;
    let by_hand = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world
        .tenant
        .dashboard_edit("auth0|bob", by_hand)
        .expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", "vip"]);
    assert_eq!(world.roles("auth0|bob"), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_role_removed_by_hand_returns_and_other_edits_stay() {
    let world = World::start().await;
    shuffled_logs(&world, 100..=300, 1).await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    let edit = json!({"app_metadata": {"roles": ["staff"]}});
    world.tenant.dashboard_edit(ANN, edit).expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["staff", ROLE]);
    assert_eq!(world.audit_of(ANN).await.len(), 2);
}

#[tokio::test]
async fn an_unapplied_write_is_found_by_later_records() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    shuffled_logs(&world, 0..=100, 1).await;
    for user in [ANN, "auth0|bob"] {
        world.seed_user(user, &["mentor"]);
    }
    let lie = CallMatch::to(Endpoint::PatchUser).user(ANN);
    world.tenant.fault_once(lie, Fault::AnsweredButNotApplied);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"], "taken for done");
    world.earn("auth0|bob", "pl_2").await;
    world
        .eventually("a later write is known from its record", async || {
            world
                .number("SELECT count(*) FROM profile_writes WHERE followed_up_at IS NOT NULL")
                .await
                == Some(1)
        })
        .await;
    // An hour later.
    let aged = "UPDATE profile_writes SET attempted_at = attempted_at - interval '1 hour',
                completed_at = completed_at - interval '1 hour', followed_up_at = followed_up_at - interval '1 hour'";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually("the role is there", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
}

#[tokio::test]
async fn an_import_rechecks_every_holder_through_a_kill() {
    const HOLDERS: usize = 40;
    let slow = TenantOptions {
        latency: Duration::from_millis(40)..=Duration::from_millis(60),
        ..TenantOptions::default()
    };
    let world = World::builder()
        .tenant(slow)
        .env("SWEEP_INTERVAL_S", 1)
        .env("AUTH0_PLAN", "2:20")
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    shuffled_logs(&world, 0..=50, 1).await;
    for number in 0..HOLDERS {
        let user = format!("auth0|{number}");
        world.seed_user(&user, &[]);
        world.earn(&user, &format!("pl_{number}")).await;
    }
    world.quiet().await;
    let reads = world.calls_to(Endpoint::ReadUser);
    let import = json!({"log_id": "import-1", "data": {"type": "sui", "date": "2026-11-24T00:00:00.000Z"}});
    assert_eq!(
        world.worker().post_logs(LOG_TOKEN, import.to_string()).await,
        Some(200)
    );
    world
        .eventually("some had an attempt", async || {
            world.calls_to(Endpoint::ReadUser) > reads + 5
        })
        .await;
    world.worker().kill9().await;
    world.start_worker().await;
    let stale = "SELECT count(*) FROM assignments WHERE verified_at <= (SELECT reported_at FROM reverify)";
    world
        .eventually("all had an attempt", async || {
            world.number(stale).await == Some(0)
        })
        .await;
    let looks = world.calls_to(Endpoint::ReadUser) - reads;
    // The users in flight at the kill are read again, and no others.
    assert!((HOLDERS..=HOLDERS + 16).contains(&looks), "{looks}");
}
