//! A database that is moved to another tenant: nothing that only the former tenant said has an effect at the new one.

use std::collections::BTreeSet;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault, Tenant, TenantOptions};

use serde_json::json;

use crate::world::discover::found;
use crate::world::erasure::{ANN, BOB, lived_in, world};
use crate::world::oracle::ROLE;
use crate::world::persons::{self, GOOGLE};
use crate::world::{CLIENT, World, text};

/// Tables with rows of the former tenant alone.
const EMPTIED: [&str; 14] = [
    "brake_releases",
    "discovered_roles",
    "discovery",
    "display_name_writes",
    "foreign_writes",
    "forgotten_holders",
    "former_identities",
    "gone_users",
    "identities",
    "log_checkpoint",
    "own_decisions",
    "profile_writes",
    "races",
    "removals",
];

/// Tables whose rows stay: facts of the app, words of the operator, the audit, settings, and state of this installation.
const KEPT: &str = "_sqlx_migrations announce_again announced_end assignments brakes counter_changes counters cursor_marks \
    dead_letter_totals dead_letters display_names drain erasure_key erasures event_id_partitions event_ids featured_playlists \
    fold_starts forgotten_changes gone_brake import_events import_users imports limits log_deliveries moves operator_acts owner_totals pause pins playlist_base_counts \
    playlist_bases playlists publish_budgets rebuild replaced_events retractions reverify role_change_chain role_changes \
    rules_history rules_in_force songs stream_cursors stream_losses tenant user_data users walk work_queue workers";

/// Rows of the former tenant in the tables that a usual story leaves empty.
pub(crate) const FORMER: &str = "
    INSERT INTO log_checkpoint (log_id, record_at) VALUES ('900', now());
    UPDATE log_deliveries SET last_at = now() - interval '9 days', silent_since = now() - interval '9 days';
    INSERT INTO gone_users (user_id, gone_at, known, released) VALUES ('auth0|gone', now(), true, false);
    INSERT INTO removals (user_id, role, found_at, state) VALUES ('auth0|bob', 'playlist_editor', now(), 'waiting');
    INSERT INTO removals (user_id, role, found_at, state) VALUES ('auth0|removed', 'playlist_editor', now(), 'held');
    INSERT INTO assignments (user_id, role, wanted, has_role, adopted, suppressed)
        VALUES ('auth0|removed', 'playlist_editor', true, false, false, true);
    INSERT INTO identities (alias, primary_id, since) VALUES ('google-oauth2|7', 'auth0|bob', now());
    INSERT INTO former_identities (alias, primary_id) VALUES ('google-oauth2|8', 'auth0|bob');
    INSERT INTO own_decisions (user_id, primary_id, role, wanted, ours, by_hand, suppressed, moved)
        VALUES ('auth0|bob', 'auth0|ann', 'playlist_editor', true, true, false, false, true);
    INSERT INTO forgotten_holders (user_id, role, granted, seq) VALUES ('auth0|bob', 'playlist_editor', true, 1);
    INSERT INTO forgotten_changes (created_ns, read_to, until) VALUES (1, 2, 9);
    INSERT INTO brake_releases (change, run, is_drop, acted_by) VALUES ('granted', gen_random_uuid(), false, 'ops');
    INSERT INTO discovery (exports) VALUES (false);
    INSERT INTO discovered_roles (role) VALUES ('playlist_editor');
    INSERT INTO display_name_writes (user_id) VALUES ('auth0|bob');
    INSERT INTO display_names (user_id, refused, refused_at, refusal) VALUES ('auth0|bob', 'Bob', now(), 'no');
    INSERT INTO work_queue (user_id, priority, attempts, last_error, failure, failed_at, parked_at, due_at)
        VALUES ('auth0|parked', 1, 9, 'no', '403', now(), now(), now() + interval '1 day');
    INSERT INTO work_queue (user_id, priority, held_by, last_held_by, pass_revokes, pass_grants, pass_gone)
        VALUES ('auth0|held', 1, 'brake_gone', 'brake_gone', true, true, true);";

/// Answers of the former tenant in tables whose rows stay.
const LEFT: &str = "SELECT (SELECT count(*) FROM users WHERE coalesce(profile_at, fetched_at, alive_at, asked_at, gone_at,
        deleted_at, gone_since, last_login_at) IS NOT NULL OR profile IS NOT NULL OR fields <> '{}')
    + (SELECT count(*) FROM work_queue WHERE coalesce(last_error, failure, held_by, last_held_by) IS NOT NULL OR attempts > 0
        OR parked_at IS NOT NULL OR pass_revokes OR pass_grants OR pass_gone OR NOT force_fetch OR due_at > now())
    + (SELECT count(*) FROM assignments WHERE adopted OR verified_at IS NOT NULL OR suppressed)
    + (SELECT count(*) FROM display_names WHERE refused IS NOT NULL)
    + (SELECT count(*) FROM forgotten_changes WHERE read_to < until)
    + (SELECT count(*) FROM log_deliveries WHERE silent_since IS NOT NULL)";

/// Rows of the former tenant that a move must not leave.
pub(crate) async fn left_of_the_former(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    for table in EMPTIED {
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        let rows: i64 = rows.fetch_one(&world.db).await.expect("Postgres responds");
        left.extend((rows > 0).then(|| format!("{table}: {rows} rows")));
    }
    let answers = world.number(LEFT).await;
    left.extend((answers != Some(0)).then(|| format!("{answers:?} of its answers")));
    left
}

/// Another tenant, which knows the worker's client.
async fn other_tenant() -> Tenant {
    let options = TenantOptions {
        clients: vec![Client::new(CLIENT, "secret")],
        ..TenantOptions::default()
    };
    Tenant::start(options).await.expect("the tenant starts")
}

/// Stops the worker and moves the database; returns the tenant's address.
async fn move_to(world: &World, tenant: &Tenant) -> String {
    world.worker().sigterm(Duration::from_secs(10)).await;
    let url = tenant.base_url();
    let domain = url.replace("http://", "");
    world
        .told(&["tenant", "move", "--to", &domain, "--yes", "--why", "a story"])
        .await;
    url
}

#[tokio::test]
async fn users_gone_at_the_former_tenant_are_not_erased() {
    let world = world().start().await;
    world.connect_log_stream().await;
    for user in [ANN, BOB] {
        world.seed_user(user, &[]);
        world.tenant.login(user).unwrap();
    }
    world.quiet().await;
    assert!(world.tenant.delete_user(ANN) && world.tenant.delete_user(BOB));
    let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    world.count_is("both are known to be deleted", gone, 2).await;
    world.quiet().await;
    world
        .run_sql("UPDATE users SET gone_since = gone_since - interval '40 days'")
        .await;
    let tenant = other_tenant().await;
    let url = move_to(&world, &tenant).await;
    world
        .start_worker_with(&[("AUTH0_DOMAIN", &url), ("ERASE_AFTER_DELETION_D", "30")])
        .await;
    world.walked().await;
    world.walked().await;
    let erased = "SELECT count(*) FROM erasures";
    assert_eq!(world.number(erased).await, Some(0));
}

#[tokio::test]
async fn nothing_that_the_former_tenant_said_survives_a_move() {
    let world = lived_in().await;
    world.run_sql(FORMER).await;
    let tenant = other_tenant().await;
    move_to(&world, &tenant).await;
    let tables =
        "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = world.rows(tables).await;
    let tables: BTreeSet<&str> = tables.iter().filter_map(|row| row["name"].as_str()).collect();
    let known = KEPT.split_whitespace().chain(EMPTIED).collect();
    assert_eq!(tables, known, "each table stays or is emptied");
    assert_eq!(left_of_the_former(&world).await, Vec::<String>::new());
    let here = "SELECT count(*) FROM assignments WHERE has_role AND user_id = 'auth0|bob'";
    assert_eq!(
        world.number(here).await,
        Some(1),
        "{ROLE} is still to be verified"
    );
}

/// The id that was linked is an account of its own at the new tenant.
#[tokio::test]
async fn a_ban_or_a_drop_holds_for_each_id_of_the_person() {
    for dropped in [false, true] {
        let world = World::two_accounts().await;
        world.link();
        world.role_follows().await;
        world.quiet().await;
        world.told(&["pause", "--why", "a story"]).await;
        if dropped {
            let drop =
                "UPDATE assignments SET has_role = false, suppressed = true WHERE user_id = 'auth0|ann'";
            world.run_sql(drop).await;
        } else {
            let ban = ["pin", persons::ANN, ROLE, "off", "--why", "spam"];
            world.told(&ban).await;
        }
        let tenant = other_tenant().await;
        let alone = json!({"user_id": GOOGLE, "created_at": "2024-02-01T00:00:00.000Z"});
        tenant.import_user(alone).expect("a user");
        let url = move_to(&world, &tenant).await;
        let settings = [("AUTH0_DOMAIN", url.as_str()), ("SWEEP_INTERVAL_S", "1")];
        world.start_worker_with(&settings).await;
        world.told(&["resume", "--why", "a story"]).await;
        world.walked().await;
        world.walked().await;
        world.quiet().await;
        let roles = tenant.user(GOOGLE).expect("the user")["app_metadata"]["roles"].clone();
        assert!(roles.is_null(), "dropped: {dropped}, {roles}");
    }
}

#[tokio::test]
async fn a_move_waits_for_the_end_of_a_search_for_holders() {
    let world = World::start().await;
    world.worker().sigterm(Duration::from_secs(10)).await;
    world.imported("old", 0..300, &[ROLE]);
    let busy = CallMatch::to(Endpoint::ListUsers);
    world.tenant.hold_fault(busy, Fault::status(503));
    let mut search = world.begin_command(&["discover"]);
    world
        .eventually("it has begun", async || !world.discoveries().is_empty())
        .await;
    let to = ["tenant", "move", "--to", "staging.eu.auth0.com", "--yes"];
    let output = world.command(&to).await;
    assert!(
        !output.status.success() && text(&output).contains("`rolekeeper discover` is running"),
        "{}",
        text(&output)
    );
    world.tenant.clear_faults();
    assert!(search.ended().await.0);
    world.told(&to).await;
}

/// The holders of the new tenant were created before the position of the search at the former one.
#[tokio::test]
async fn a_search_of_the_former_tenant_does_not_go_on() {
    let world = World::start().await;
    world.imported("old", 100..150, &[ROLE]);
    world.told(&["discover"]).await;
    world
        .run_sql(
            "UPDATE discovery SET done_at = NULL;
             UPDATE discovered_roles SET done = false, bound = 'after', created_at = '2024-03-01'",
        )
        .await;
    let tenant = other_tenant().await;
    let here = json!({"user_id": "auth0|new", "created_at": "2024-02-01T00:00:00.000Z", "app_metadata": {"roles": [ROLE]}});
    tenant.import_user(here).expect("a user");
    let url = move_to(&world, &tenant).await;
    let output = world.command_with(&["discover"], &[("AUTH0_DOMAIN", &url)]).await;
    let said = text(&output);
    assert!(said.contains(&found(1)) && !said.contains("continuing"), "{said}");
    assert_eq!(world.unadopted().await, 51);
}
