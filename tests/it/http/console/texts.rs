//! Texts from outside in every field: HTML, signs that change the direction, emoji, and texts of 10 kB.

use crate::world::console::{Browser, OPERATOR_TOKEN};

use super::still;

/// Rows with such a text in every column that a page shows. The text is `<script>…</script>`, a quote, an override of the direction and an
/// emoji, then 10,000 letters where the column takes them.
const ROWS: &str = r#"
    CREATE TEMPORARY TABLE odd AS SELECT '<script>alert(1)</script>"''&' || U&'\202E' || U&'\+01F3A7' AS t;
    INSERT INTO users (user_id, first_seen_at, asked_at, profile)
    SELECT 'auth0|' || t, now(), now(), jsonb_build_object('app_metadata', jsonb_build_object('roles', jsonb_build_array(t))) FROM odd;
    INSERT INTO work_queue (user_id, priority, attempts, last_error, parked_at, held_by)
    SELECT 'auth0|' || t, 1, 2, t || repeat('x', 10000), now(), NULL FROM odd;
    INSERT INTO work_queue (user_id, priority, attempts, last_error) SELECT 'auth0|q' || t, 1, 2, t || repeat('x', 10000) FROM odd;
    INSERT INTO work_queue (user_id, priority, held_by) SELECT 'auth0|h' || t, 0, 'brake_revokes' FROM odd;
    INSERT INTO assignments (user_id, role, wanted, has_role, adopted) SELECT 'auth0|h' || t, t, false, true, true FROM odd;
    UPDATE brakes SET engaged_at = now(), changes = 1, holders = 1 WHERE change = 'revoked';
    INSERT INTO brake_releases (change, run, is_drop, acted_by) SELECT 'revoked', gen_random_uuid(), true, t || repeat('x', 10000) FROM odd;
    INSERT INTO pause (reason) SELECT t || repeat('x', 10000) FROM odd;
    INSERT INTO limits (name, value, set_by, why) SELECT 'writes', 0, t, t || repeat('x', 10000) FROM odd;
    INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at)
    SELECT 'APP_EVENTS', 1, 'plays.' || t || repeat('x', 10000), 'not_json', t || repeat('x', 10000), 'x', 1, now() FROM odd;
    INSERT INTO operator_acts (acted_by, command, arguments, why, outcome)
    SELECT t || repeat('x', 10000), 'rules apply', '{}', t || repeat('x', 10000), 'version 2 is in force ' || t FROM odd;
    INSERT INTO pins (user_id, role, state, pinned_by, why) SELECT 'auth0|' || t, t, 'on', t, t || repeat('x', 10000) FROM odd;
    INSERT INTO playlists (playlist_id, owner_id, plays) SELECT 'pl' || t, 'auth0|' || t, 7 FROM odd;
    INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, queued_ms)
    SELECT gen_random_uuid(), 'auth0|' || t, t, 'granted', 1, 'null', t || repeat('x', 10000), 1 FROM odd;
    DROP TABLE odd"#;

#[tokio::test]
async fn texts_from_outside_stay_texts() {
    let world = still().await;
    world.run_sql(ROWS).await;
    let name = "<b>ann</b>\u{202e}\u{1f3a7}";
    let browser = Browser::signed_in(&world.worker(), name, OPERATOR_TOKEN).await;
    let odd = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%26%E2%80%AE%F0%9F%8E%A7";
    let pages = [
        ("/console".to_owned(), false),
        ("/console/changes".to_owned(), false),
        ("/console/queue".to_owned(), true),
        ("/console/parked".to_owned(), true),
        ("/console/dead-letters".to_owned(), true),
        ("/console/brakes".to_owned(), true),
        ("/console/rules".to_owned(), true),
        ("/console/users?q=auth0%7C".to_owned(), true),
        (format!("/console/user?id=auth0%7C{odd}"), true),
        (format!("/console/users?q={odd}"), true),
    ];
    for (path, shows) in pages {
        let page = browser.page(&path).await;
        assert!(
            !page.contains("<script>alert") && !page.contains("<b>ann"),
            "{path}: {page}"
        );
        assert!(!page.contains('\u{202e}'), "{path}: the direction is not changed");
        assert!(
            page.contains("\\u{202e}\u{1f3a7}"),
            "{path}: the code of the sign is shown"
        );
        assert!(
            !shows || page.contains("&#60;script&#62;alert(1)"),
            "{path}: {page}"
        );
        assert!(!page.contains(&"x".repeat(1_000)), "{path}: a long text is cut");
    }
}
