//! The plot of a count over time.

use crate::world::console::{Browser, READ_TOKEN, with_console};
use crate::world::events::{plays, retraction, saved};
use crate::world::{ANN, World};

/// The place and the count of each step of the line, from its path in the page.
fn steps(page: &str) -> usize {
    let path = page.split("class=\"count\" d=\"").nth(1).expect("a line");
    path.split('"').next().expect("its path").matches('V').count()
}

async fn counted() -> World {
    let world = with_console().start().await;
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s", "pl_1", ANN)]).await;
    world.publish(&plays("p", "pl_1", 0..120)).await;
    world.publish(&plays("p", "pl_1", 0..5)).await;
    world.publish(&[retraction("r", "p-7", "pl_1")]).await;
    world.settled().await;
    world
}

#[tokio::test]
async fn a_count_is_plotted_against_its_thresholds() {
    let world = counted().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let page = browser
        .page("/console/counts?user=auth0%7Cann&playlist=pl_1")
        .await;
    // 120 plays and a retraction; the first one is the beginning of the line.
    assert_eq!(steps(&page), 120, "{page}");
    assert!(page.contains("The count over time, 119 at its end"), "{page}");
    assert!(page.contains("playlist_editor: granted at 100"), "{page}");
    assert!(page.contains("The data ends with the newest message."), "{page}");
    let user = browser.page("/console/user?id=auth0%7Cann").await;
    let loads = "data-load=\"/console/counts?user=auth0%7Cann&amp;playlist=pl_1\"";
    assert!(user.contains(loads), "{user}");
}

#[tokio::test]
async fn a_playlist_of_another_user_is_not_plotted() {
    let world = counted().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    for path in [
        "user=auth0%7Cbob&playlist=pl_1",
        "user=auth0%7Cann&playlist=pl_2",
        "user=&playlist=",
        "user=x%00&playlist=..",
    ] {
        let shown = browser.get(&format!("/console/counts?{path}")).await;
        assert_eq!(shown.status, 404, "{path}");
    }
}
