//! An id that is mistyped, or that another id begins with: an erasure and an export concern one user.

use crate::world::erasure::KEY;
use crate::world::{World, text};

/// Dead letters of users whose ids begin alike.
const LETTERS: &str = "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at, kept_at)
    SELECT 'APP_EVENTS', n, 'plays.1', 'unreadable', 'd', convert_to('{\"owner_id\":\"google-oauth2|' || owner || '\"', 'UTF8'), 30, now(),
        now() - n * interval '1 hour' FROM (VALUES (0, '7'), (1, '77'), (2, '7'), (3, '7.x'), (4, 'x7')) AS letters(n, owner)";
const LEFT: &str = "SELECT count(*) FROM dead_letters";

#[tokio::test]
async fn an_id_without_its_provider_erases_nothing() {
    let world = World::builder().env("ERASURE_KEY", KEY).workers(0).start().await;
    world.run_sql(LETTERS).await;
    let typed = ["google-oauth2", "a", "google-oauth2|", "|7"];
    let of_files = [
        "\"google-oauth2|7\"",
        "\u{feff}google-oauth2|7",
        "\u{200b}google-oauth2|7",
        "google-oauth2 |7",
    ];
    for wrong in [typed, of_files].concat() {
        for command in [&["erase", "--force", wrong][..], &["readmit", wrong]] {
            let output = world.command(command).await;
            let said = text(&output);
            assert!(
                !output.status.success() && said.contains("expected a provider and an id, in quotes"),
                "{said}"
            );
        }
    }
    let erased = "SELECT count(*) FROM erasures";
    assert_eq!(
        (world.number(LEFT).await, world.number(erased).await),
        (Some(5), Some(0))
    );
}

#[tokio::test]
async fn letters_of_longer_ids_are_neither_shown_nor_erased() {
    let world = World::builder().env("ERASURE_KEY", KEY).workers(0).start().await;
    world.run_sql(LETTERS).await;
    let shown = world.told(&["export", "google-oauth2|7"]).await;
    assert!(
        shown.contains("google-oauth2|7") && !shown.contains("|77") && !shown.contains("7.x"),
        "{shown}"
    );
    let said = world.told(&["erase", "--force", "google-oauth2|7"]).await;
    assert!(said.contains("2 rows removed"), "{said}");
    assert_eq!(world.number(LEFT).await, Some(3));
    let unknown = world.told(&["erase", "--force", "auth0|unknown"]).await;
    assert!(
        unknown.contains("Nothing was stored of it: check the id"),
        "{unknown}"
    );
}
