//! The tables as the migrations make them: each is documented, and those that name a user are exported and erased.

use std::path::Path;

use crate::world::World;

/// Tables and columns of the schema without a comment; partitions of a table have its comments.
const UNDOCUMENTED: &str = "SELECT c.relname || coalesce('.' || a.attname, '') AS name
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> '_sqlx_migrations'
        AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
    ORDER BY 1";
/// Tables with a column that holds the id of a user.
const OF_USERS: &str =
    "SELECT DISTINCT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attname IN ('user_id', 'owner_id', 'alias', 'primary_id', 'old_id', 'new_id')
    ORDER BY 1";

async fn names(world: &World, rows: &'static str) -> Vec<String> {
    let rows = world.rows(rows).await.into_iter();
    rows.filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn every_table_and_every_column_has_a_comment() {
    let world = World::builder().workers(0).start().await;
    assert_eq!(names(&world, UNDOCUMENTED).await, [""; 0]);
}

#[tokio::test]
async fn every_table_that_names_a_user_is_exported_and_erased() {
    let world = World::builder().workers(0).start().await;
    let (person, audit) = (include_str!("../../../src/store/person.rs"), "role_changes");
    let tables = names(&world, OF_USERS).await;
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        assert!(
            person.contains(&format!(" FROM {table} t ")),
            "{table} is not exported"
        );
        let erased = ["DELETE FROM", "UPDATE"].map(|verb| person.contains(&format!("{verb} {table} ")));
        // A function renames the user in the audit.
        assert!(erased.contains(&true) || table == audit, "{table} is not erased");
    }
}

#[test]
fn every_migration_has_a_row_in_their_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let table = include_str!("../../../migrations/README.md");
    let files = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|file| file.expect("a file").file_name());
    let files = files.map(|name| name.to_string_lossy().into_owned());
    for file in files.filter(|name| Path::new(name).extension().is_some_and(|end| end == "sql")) {
        let row = format!("| `{}` |", file[12..].trim_end_matches(".sql"));
        assert!(table.contains(&row), "no row {row}");
    }
}
