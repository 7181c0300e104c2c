//! Releases and drops in the console: with a reason, once, and only of what the operator saw.

use crate::world::World;
use crate::world::console::{Browser, OPERATOR_TOKEN, Shown, field};

use super::{engaged, still};

const PATH: &str = "/console/brakes/revokes";

/// The form of the brake on revokes, as a page shows it.
async fn form(browser: &Browser) -> (String, String) {
    let page = browser.page("/console/brakes").await;
    (field(&page, PATH, "form_key"), field(&page, PATH, "seen"))
}

/// Two operators, each with the form of the brake on revokes.
async fn two_operators(world: &World) -> [(Browser, (String, String)); 2] {
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let bob = Browser::signed_in(&world.worker(), "bob", OPERATOR_TOKEN).await;
    let forms = (form(&ann).await, form(&bob).await);
    [(ann, forms.0), (bob, forms.1)]
}

/// Number of holders whose role may be revoked.
async fn adopted(world: &World) -> Option<i64> {
    world
        .number("SELECT count(*) FROM assignments WHERE adopted")
        .await
}

async fn send(browser: &Browser, (key, seen): &(String, String), way: &str, why: &str) -> Shown {
    let form = [
        ("form_key", key.as_str()),
        ("seen", seen),
        ("why", why),
        ("way", way),
    ];
    browser.post(PATH, &form).await
}

#[tokio::test]
async fn held_changes_are_released_with_a_reason() {
    let world = engaged().await;
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let page = ann.page("/console/brakes").await;
    assert!(
        page.contains("25 users would have changed, of 100 holders; 25 held"),
        "{page}"
    );
    assert!(
        page.contains("auth0|h20") && !page.contains("auth0|h21"),
        "{page}"
    );
    let more = ann.page("/console/brakes?kind=revokes&after=auth0%7Ch20").await;
    assert!(
        more.contains("auth0|h25") && !more.contains("auth0|h20<"),
        "{more}"
    );
    let form = form(&ann).await;
    assert_eq!(
        send(&ann, &form, "release", " ").await.status,
        400,
        "a reason is needed"
    );
    let answer = send(&ann, &form, "release", "first day").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        answer.text.contains("revokes: 25 users released"),
        "{}",
        answer.text
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM work_queue WHERE pass_revokes")
            .await,
        Some(25)
    );
    let acts = world.rows("SELECT acted_by, command, arguments, why, outcome FROM operator_acts WHERE command LIKE 'brake%'").await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    for (name, value) in [
        ("acted_by", "ann"),
        ("command", "brake release"),
        ("why", "first day"),
        ("outcome", "25 users released"),
    ] {
        assert_eq!(acts[0][name], value);
    }
    assert_eq!(acts[0]["arguments"]["changes"], "revokes");
}

#[tokio::test]
async fn the_address_of_an_act_leads_back_to_the_brakes() {
    let world = still().await;
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let answer = ann.get(PATH).await;
    assert_eq!((answer.status, answer.location()), (303, "/console/brakes"));
}

#[tokio::test]
async fn held_changes_are_dropped() {
    let world = engaged().await;
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let answer = send(&ann, &form(&ann).await, "drop", "the rule was wrong").await;
    assert!(
        answer
            .text
            .contains("revokes: 25 users dropped: they keep the role"),
        "{}",
        answer.text
    );
    assert_eq!(adopted(&world).await, Some(0));
}

#[tokio::test]
async fn the_second_of_two_operators_learns_that_nothing_is_left() {
    let world = engaged().await;
    let [(ann, of_ann), (bob, of_bob)] = two_operators(&world).await;
    assert_eq!(send(&ann, &of_ann, "release", "first day").await.status, 200);
    let answer = send(&bob, &of_bob, "drop", "a mistake").await;
    assert_eq!(answer.status, 409);
    let said = "revokes: nothing was done, since the brake is not engaged any more. The last act on it: brake release, by ann at";
    assert!(
        answer.text.contains(said) && answer.text.contains("first day"),
        "{}",
        answer.text
    );
    assert_eq!(adopted(&world).await, Some(25));
}

#[tokio::test]
async fn both_at_once_release_once() {
    let world = engaged().await;
    let [(ann, of_ann), (bob, of_bob)] = two_operators(&world).await;
    let (one, other) = tokio::join!(
        send(&ann, &of_ann, "release", "a"),
        send(&bob, &of_bob, "release", "b")
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.text, other.text);
    let ended = "SELECT count(*) FROM operator_acts WHERE command = 'brake release' AND outcome = '25 users released'";
    assert_eq!(world.number(ended).await, Some(1));
}

#[tokio::test]
async fn an_old_form_does_not_release_a_brake_that_engaged_again() {
    let world = engaged().await;
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let old = form(&ann).await;
    world
        .run_sql("UPDATE brakes SET engaged_at = '2026-11-23 11:00Z' WHERE change = 'revoked'")
        .await;
    let answer = send(&ann, &old, "release", "late").await;
    assert_eq!(answer.status, 409);
    assert!(
        answer.text.contains("engaged again since 2026-11-23T11:00:00Z"),
        "{}",
        answer.text
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM work_queue WHERE held_by IS NOT NULL")
            .await,
        Some(25)
    );
}

#[tokio::test]
async fn a_release_that_another_operator_makes_is_not_taken_over() {
    let world = engaged().await;
    let under_way = "INSERT INTO brake_releases (change, run, is_drop, acted_by)
                     VALUES ('revoked', gen_random_uuid(), false, 'eve@host')";
    world.run_sql(under_way).await;
    let ann = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    let form = form(&ann).await;
    let answer = send(&ann, &form, "release", "mine").await;
    assert_eq!(answer.status, 409);
    assert!(
        answer
            .text
            .contains("in the hands of eve@host, who has begun a release at"),
        "{}",
        answer.text
    );
    // An interrupted one makes no progress any more.
    world
        .run_sql("UPDATE brake_releases SET moved_at = now() - interval '1 minute'")
        .await;
    assert_eq!(send(&ann, &form, "release", "mine").await.status, 200);
}
