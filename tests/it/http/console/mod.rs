//! The console: sign-in, pages, acts, and both outages.

mod access;
mod acts;
mod away;
mod bounds;
mod commands;
mod counts;
mod pages;
mod texts;

use crate::world::World;
use crate::world::console::with_console;

/// The brake on revokes, engaged with 25 held users.
const ENGAGED: &str = "
    INSERT INTO assignments (user_id, role, wanted, has_role, adopted)
    SELECT 'auth0|h' || lpad(n::text, 2, '0'), 'playlist_editor', false, true, true FROM generate_series(1, 25) AS n;
    INSERT INTO work_queue (user_id, priority, held_by) SELECT user_id, 0, 'brake_revokes' FROM assignments;
    UPDATE brakes SET engaged_at = '2026-11-23 10:00Z', changes = 25, holders = 100 WHERE change = 'revoked'";

/// A world whose worker only listens, so that nothing changes by itself.
async fn still() -> World {
    with_console().listening().await
}

/// The same, with the brake on revokes engaged.
async fn engaged() -> World {
    let world = still().await;
    world.run_sql(ENGAGED).await;
    world
}
