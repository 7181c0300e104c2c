//! Restored roles of other clients: the conditions, their number, and their rows.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault};
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::races::{race, stream_logs};
use crate::world::{ANN, CLIENT, LOG_TOKEN, World, text};

async fn outcomes(world: &World) -> Vec<Value> {
    let rows = world.rows("SELECT outcome FROM races ORDER BY user_id").await;
    rows.into_iter().map(|row| row["outcome"].clone()).collect()
}

/// F46: forged, repeated, late and reordered log records of writes of other clients, by the thousand: promise 8.
#[tokio::test]
async fn f46_a_restore_is_confirmed_and_has_audit_rows_of_its_own() {
    let world = World::start().await;
    stream_logs(&world).await;
    race(&world, ANN, &["vip"]).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["vip", ROLE]);
    assert!(world.calls_to(Endpoint::ReadLog) >= 1, "the tenant confirmed it");
    let rows = "SELECT role, change, outcome, client_id, length(log_id) AS log_id FROM role_changes
                WHERE change IN ('restored', 'removed') ORDER BY role";
    let row = |role: &str, change: &str| json!({"role": role, "change": change, "outcome": "written", "client_id": "crm", "log_id": 56});
    assert_eq!(
        world.rows(rows).await,
        [row("mentor", "removed"), row("vip", "restored")]
    );
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("only ours is announced", async || {
            world.number(announced).await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn f46_without_the_scope_a_race_is_reported_and_not_written() {
    let world = World::builder().workers(0).start().await;
    let scopes = [
        "read:users",
        "update:users",
        "update:users_app_metadata",
        "read:users_app_metadata",
    ];
    world
        .tenant
        .register_client(Client::new(CLIENT, "secret").with_scopes(scopes));
    world.start_worker().await;
    stream_logs(&world).await;
    race(&world, ANN, &["mentor", "vip"]).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
    assert_eq!(outcomes(&world).await, ["unconfirmed"]);
    let told = world.worker().messages();
    let names_scopes = |line: &String| line.contains("read:logs and read:logs_users");
    assert!(told.iter().any(names_scopes), "{told:?}");
}

#[tokio::test]
async fn f46_a_write_without_an_answer_is_no_reason_to_restore() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    stream_logs(&world).await;
    world.seed_user(ANN, &["mentor"]);
    let patch = || CallMatch::to(Endpoint::PatchUser).client(CLIENT);
    world
        .tenant
        .fault_once(patch(), Fault::DelayedAnswer(Duration::from_secs(3)));
    world.earn(ANN, "pl_ann").await;
    world
        .eventually("our write is done", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
    world.quiet().await;
    let wrote = world.tenant.history(ANN).last().expect("our write").at;
    let date = (wrote - Duration::from_millis(1)).format(&time::format_description::well_known::Rfc3339);
    let request = json!({"method": "patch", "path": "/api/v2/users/auth0%7Cann", "body": {"app_metadata": {"roles": ["admin"]}}});
    let data = json!({"type": "sapi", "date": date.expect("a date"), "client_id": "crm", "details": {"request": request}});
    let record = json!({"log_id": "900x", "data": data}).to_string();
    assert_eq!(world.worker().post_logs(LOG_TOKEN, record).await, Some(200));
    world
        .eventually("it is reported", async || {
            outcomes(&world).await == ["unconfirmed"]
        })
        .await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
    let asked = "SELECT count(*) FROM foreign_writes WHERE record_id = '900x' AND asked_at IS NOT NULL";
    assert_eq!(world.number(asked).await, Some(0));
}

#[tokio::test]
async fn f46_a_forbidden_role_is_never_restored() {
    let world = World::start().await;
    stream_logs(&world).await;
    race(&world, ANN, &["mentor", "vip", "admin"]).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["vip", "mentor", ROLE]);
    let told = world.worker().messages();
    assert!(
        told.iter().any(|line| line.contains("FORBIDDEN_ROLES lists")),
        "{told:?}"
    );
    // An existing one stays, and leaves when its owner removes it.
    let file =
        Value::from("[[rule]]\nrole = \"admin\"\nof = \"best_playlist\"\ngrant_at = 1\nrevoke_below = 1\n");
    let path = std::env::temp_dir().join(format!("forbidden-{}.toml", std::process::id()));
    std::fs::write(&path, file.as_str().expect("a text")).expect("a file");
    let path = path.display().to_string();
    let output = world.command(&["rules", "apply", &path]).await;
    assert!(
        !output.status.success() && text(&output).contains("FORBIDDEN_ROLES"),
        "{}",
        text(&output)
    );
    let other = world.start_worker_with(&[("RULES_FILE", &path)]).await;
    world
        .eventually("its file is refused", async || {
            other.count("rolekeeper_rules_refused").await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn f46_a_mass_of_restores_is_held_until_the_operator_acts() {
    let world = World::builder().env("BRAKE_RESTORES", 1).start().await;
    stream_logs(&world).await;
    for user in [ANN, "auth0|bob", "auth0|cid"] {
        race(&world, user, &["mentor", "vip"]).await;
        world.quiet().await;
    }
    let with_vip =
        || [ANN, "auth0|bob", "auth0|cid"].map(|user| world.roles(user).contains(&"vip".to_owned()));
    assert_eq!(with_vip(), [true, false, false]);
    assert_eq!(
        world
            .worker()
            .count("rolekeeper_brake_engaged{change=\"restored\"}")
            .await,
        Some(1)
    );
    let shown = world.command(&["brake"]).await;
    assert!(text(&shown).contains("auth0|bob  +vip"), "{}", text(&shown));
    let released = world.command(&["brake", "release", "restores"]).await;
    assert!(
        text(&released).contains("restores: 2 users released"),
        "{}",
        text(&released)
    );
    world
        .eventually("they are restored", async || with_vip() == [true, true, true])
        .await;
    world.quiet().await;
    assert_eq!(outcomes(&world).await, ["merged", "merged", "merged"]);
}

#[tokio::test]
async fn f46_what_the_operator_drops_is_not_restored() {
    let world = World::builder().env("BRAKE_RESTORES", 0).start().await;
    stream_logs(&world).await;
    race(&world, ANN, &["mentor", "vip"]).await;
    world.quiet().await;
    let dropped = world.command(&["brake", "drop", "restores"]).await;
    assert!(
        text(&dropped).contains("restores: 1 user dropped"),
        "{}",
        text(&dropped)
    );
    let again = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world
        .tenant
        .edit_by_other_client("crm", ANN, again)
        .expect("an edit");
    world.quiet().await;
    assert_eq!(
        (world.roles(ANN), outcomes(&world).await),
        (vec!["mentor".into(), ROLE.into()], vec!["dropped".into()])
    );
}

/// The first transaction that engages the brake is rolled back: its decision has no effect, and is not logged.
#[tokio::test]
async fn a_brake_that_engages_is_told_once_it_is_committed() {
    let world = World::builder().env("BRAKE_RESTORES", 0).start().await;
    let fails_once = "CREATE SEQUENCE tries;
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF nextval('tries') = 1 THEN RAISE 'once'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail_once BEFORE INSERT OR UPDATE ON races FOR EACH ROW WHEN (NEW.held) EXECUTE FUNCTION fail_once()";
    sqlx::raw_sql(fails_once)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    stream_logs(&world).await;
    race(&world, ANN, &["mentor", "vip"]).await;
    world
        .eventually("the second attempt holds it", async || {
            world.number("SELECT count(*) FROM races WHERE held").await == Some(1)
        })
        .await;
    world.quiet().await;
    let told = world.worker().messages();
    let told = told
        .iter()
        .filter(|line| line.contains("brake engaged: restores"));
    assert_eq!(told.count(), 1);
}

/// A gateway denies one read of the log: that is no response of Auth0 about scopes.
#[tokio::test]
async fn a_gateway_that_denies_once_costs_no_restore() {
    let world = World::start().await;
    let denied = Fault::Status {
        code: 403,
        headers: vec![],
        body: Some(json!({"message": "denied by the gateway"})),
    };
    stream_logs(&world).await;
    world.tenant.hold_fault(CallMatch::to(Endpoint::ReadLog), denied);
    race(&world, ANN, &["mentor", "vip"]).await;
    world
        .eventually("the log cannot be read", async || {
            world.calls_to(Endpoint::ReadLog) > 0
        })
        .await;
    world.tenant.clear_faults();
    world
        .eventually("the role of the other client is restored", async || {
            world.roles(ANN) == ["vip", "mentor", ROLE] || world.roles(ANN) == ["mentor", "vip", ROLE]
        })
        .await;
}
