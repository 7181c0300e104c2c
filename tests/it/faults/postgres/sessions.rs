//! The cost of a standby at Postgres.

use std::collections::BTreeSet;

use sqlx::Row as _;

use crate::world::World;

/// Sessions whose last statement requested a lock: process, start, newest statement.
const ASKED: &str =
    "SELECT pid || ' ' || backend_start AS session, query_start::text AS asked FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()";

/// It requests three locks repeatedly, on the same three sessions.
#[tokio::test]
async fn l1_a_standby_asks_for_its_locks_on_the_sessions_it_has() {
    let world = World::builder().workers(2).start().await;
    let (mut sessions, mut questions) = (BTreeSet::new(), BTreeSet::new());
    world
        .eventually("it has asked several times", async || {
            let rows = sqlx::query(ASKED)
                .fetch_all(&world.db)
                .await
                .expect("Postgres responds");
            for row in rows {
                let (session, asked): (String, String) = (row.get("session"), row.get("asked"));
                questions.insert((session.clone(), asked));
                sessions.insert(session);
            }
            questions.len() >= 24
        })
        .await;
    // The three of the standby, and those of the other worker that have held a lock and sent no statement since.
    assert!(sessions.len() <= 6, "{sessions:?}");
}
