//! An erasure beside many moves and pins of other users: it searches their words before it holds up the folds.

use crate::world::World;
use crate::world::erasure::{ANN, BOB, KEY, erase, named};

/// Counts the rows whose words are compared with the erased id, which takes a regular expression for each.
const COUNTED: &str = "CREATE SEQUENCE compared;
    CREATE OR REPLACE FUNCTION without_person(said text, pseudonym text, spellings text[]) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('compared');
        RETURN regexp_replace(said, person_pattern(spellings), pseudonym, 'g');
    END $$";
const COMPARED: &str = "SELECT last_value FROM compared";

/// Moves and pins of the day before yesterday; two of each name Ann, one by her name in a URL.
const MANY: &str = "
    INSERT INTO moves (old_id, new_id, moved_at, moved_by, why)
        SELECT 'auth0|' || n, 'samlp|acme|' || n, now() - interval '2 days', 'ops', 'single sign-on, ticket ' || n
        FROM generate_series(1, 12000) AS n;
    INSERT INTO pins (user_id, role, state, pinned_at, pinned_by, why)
        SELECT 'auth0|' || n, 'playlist_editor', 'off', now() - interval '2 days', 'ops', 'spam'
        FROM generate_series(1, 12000) AS n;
    UPDATE moves SET why = 'as auth0|6132829445244d0069782a78' WHERE old_id = 'auth0|777';
    UPDATE moves SET moved_by = 'auth0%7C6132829445244d0069782a78' WHERE old_id = 'auth0|9999';
    UPDATE pins SET why = 'as auth0|6132829445244d0069782a78' WHERE user_id = 'auth0|777';
    UPDATE pins SET pinned_by = '6132829445244d0069782a78' WHERE user_id = 'auth0|9999'";

#[tokio::test]
async fn an_erasure_compares_few_words_while_the_folds_wait() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.run_sql(MANY).await;
    world.run_sql(COUNTED).await;
    erase(&world).await;
    assert_eq!(named(&world).await, [].into());
    let compared = world.number(COMPARED).await.expect("a number");
    assert!((8..1_000).contains(&compared), "{compared} words were compared");
}

/// The words came after the search of an erasure: here, of one that is repeated by an attempt.
#[tokio::test]
async fn words_that_return_after_an_erasure_name_no_erased_user() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.seed_user(BOB, &[]);
    erase(&world).await;
    let why = format!("as {ANN}");
    world
        .told(&["pin", BOB, crate::world::oracle::ROLE, "off", "--why", &why])
        .await;
    assert!(!named(&world).await.is_empty());
    world
        .run_sql("INSERT INTO work_queue (user_id, priority) VALUES ('auth0|6132829445244d0069782a78', 0)")
        .await;
    world
        .eventually("an attempt erases again", async || {
            named(&world).await == [].into()
        })
        .await;
}
