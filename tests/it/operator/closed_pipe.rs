//! A reader that closes the pipe, such as `head`, ends no command.

use crate::world::World;

#[tokio::test]
async fn a_closed_pipe_ends_no_command() {
    let world = World::builder().env("TRIM_FLOOR", "300ms").start().await;
    let bases = "SELECT count(*) FROM playlist_bases";
    world.count_is("each partition has a base", bases, 64).await;
    for read in [
        "acts",
        "brake",
        "changes",
        "dead-letters list",
        "discover",
        "evidence --from 2000-01-01",
        "limits",
        "parked",
        "pins",
        "pipe",
        "plan --all",
        "queue",
        "rules show",
        "verify",
    ] {
        let arguments: Vec<&str> = read.split(' ').collect();
        assert!(world.unread(&arguments).await, "{read}");
    }
    world.played("ann", 1).await;
    world.quiet().await;
    assert!(world.unread(&["explain", "auth0|ann"]).await);
    assert!(world.unread(&["pause", "--why", "maintenance"]).await);
    assert_eq!(world.number("SELECT count(*) FROM pause").await, Some(1));
}
