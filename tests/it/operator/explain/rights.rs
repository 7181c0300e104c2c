//! The role of Postgres that only reads: it is enough for what only reads, and it writes nothing.

use serde_json::Value;

use super::super::evidence::chained;
use super::explained;
use crate::world::rules::rules_file;
use crate::world::{ANN, World, text};

/// Rights of that role beyond reading, on any table or sequence.
const BEYOND: &str = "SELECT c.relname, privilege FROM pg_class c
    CROSS JOIN UNNEST(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND (has_table_privilege('rolekeeper_read', c.oid, privilege)
            OR has_any_column_privilege('rolekeeper_read', c.oid, CASE WHEN privilege IN ('INSERT', 'UPDATE', 'REFERENCES') THEN privilege ELSE 'INSERT' END))
    UNION ALL SELECT c.relname, 'sequence' FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S' AND has_sequence_privilege('rolekeeper_read', c.oid, 'USAGE, UPDATE')
    UNION ALL SELECT 'public', 'CREATE' WHERE has_schema_privilege('rolekeeper_read', 'public', 'CREATE')
    UNION ALL SELECT p.proname, 'definer' FROM pg_proc p
    WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace AND has_function_privilege('rolekeeper_read', p.oid, 'EXECUTE')";

/// The commands that only read Postgres.
const READS: [&[&str]; 19] = [
    &["explain", ANN],
    &["explain", ANN, "--json"],
    &["plan", "--all"],
    &["plan", "--user", ANN, "--json"],
    &["evidence", "--from", "2000-01-01"],
    &["export", ANN],
    &["acts"],
    &["brake"],
    &["brake", "--json"],
    &["changes"],
    &["parked"],
    &["pipe"],
    &["queue"],
    &["pins"],
    &["limits"],
    &["tenant"],
    &["rules", "show"],
    &["verify", "--counts"],
    &["rules", "show", "--json"],
];

#[tokio::test]
async fn a_role_with_select_alone_reads_all_and_writes_nothing() {
    let world = World::builder()
        .least_rights()
        .env("TRIM_FLOOR", "300ms")
        .start()
        .await;
    let bases = "SELECT count(*) FROM playlist_bases";
    world.count_is("each partition has a base", bases, 64).await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    chained(&world).await;
    assert_eq!(world.rows(BEYOND).await, Vec::<Value>::new());
    let url = world
        .setting("DATABASE_URL")
        .replace("rolekeeper_run", "rolekeeper_read");
    let env = [("DATABASE_URL", url.as_str())];
    let calls = world.tenant.with_calls(<[_]>::len);
    for command in READS {
        let output = world.command_with(command, &env).await;
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
    let file = rules_file(1, 50);
    let path = file.path().display().to_string();
    let output = world.command_with(&["rules", "plan", &path], &env).await;
    assert!(output.status.success(), "{}", text(&output));
    let change = world.rows("SELECT change_id::text FROM role_changes").await;
    let change = change[0]["change_id"].as_str().expect("an id");
    let output = world.command_with(&["undo", change], &env).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(world.tenant.with_calls(<[_]>::len), calls, "no call to Auth0");
    let output = world.command_with(&["explain", ANN, "--json"], &env).await;
    let mut read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut run = explained(&world, ANN).await;
    for one in [&mut read, &mut run] {
        one["at"] = Value::Null;
    }
    assert_eq!(read, run, "the same as with the running role");
    let refused = world.command_with(&["pause", "--why", "a test"], &env).await;
    assert!(
        text(&refused).contains("permission denied for table pause"),
        "{}",
        text(&refused)
    );
}
