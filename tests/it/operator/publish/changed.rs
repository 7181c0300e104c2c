//! Files that change between the check and the end of the run, and lines that are not there.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::{Lines, code, of_ann};
use crate::world::events::play;
use crate::world::{ANN, World};

/// Publishes 12,001 lines; `change` changes the file while a line of the second thousand is held. Returns what was said.
async fn changed_meanwhile(world: &World, change: impl AsyncFnOnce(&Lines)) -> (bool, String) {
    world.seed_user(ANN, &["mentor"]);
    world.nats_proxy().hold(b"p-1500");
    let lines = Lines::of(&of_ann(12_000));
    let mut run = world.begin_command(&["publish", &lines.path]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a line is held", held).await;
    change(&lines).await;
    world.nats_proxy().let_go();
    world.nats_proxy().cut();
    run.ended().await
}

#[tokio::test]
async fn a_file_that_is_cut_after_the_check_is_an_error() {
    let world = World::builder().workers(0).nats_proxy().start().await;
    let (succeeded, said) = changed_meanwhile(&world, async |lines| {
        let text = std::fs::read(&lines.path).expect("the file");
        let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let (end, _) = ends.nth(9_999).expect("a line");
        let file = OpenOptions::new()
            .write(true)
            .open(&lines.path)
            .expect("the file");
        file.set_len(end as u64 + 1).expect("it is cut");
    })
    .await;
    let why = "the file was changed while it was sent: 12001 lines were checked, 10000 were sent";
    assert!(!succeeded && said.contains(why), "{said}");
    assert!(said.contains("--from-line 10001"), "{said}");
    assert_eq!(world.in_stream().await, 10_000);
}

#[tokio::test]
async fn lines_that_are_added_after_the_check_are_not_sent() {
    let world = World::builder().workers(0).nats_proxy().start().await;
    let (succeeded, said) = changed_meanwhile(&world, async |lines| {
        let mut file = OpenOptions::new()
            .append(true)
            .open(&lines.path)
            .expect("the file");
        let added = [b"\n", &play("added", "pl_1").payload[..]].concat();
        file.write_all(&added).expect("a line is added");
    })
    .await;
    assert!(succeeded && said.contains("12001 lines stored\n"), "{said}");
    assert_eq!(world.in_stream().await, 12_001);
}

#[tokio::test]
async fn a_first_line_behind_the_end_is_an_error() {
    let world = World::builder().workers(0).start().await;
    let lines = Lines::of(&of_ann(3));
    for skip in [&[][..], &["--skip-bad"]] {
        let arguments = [&["publish", &lines.path, "--from-line", "5"][..], skip].concat();
        let (exit, said) = code(&world.command(&arguments).await);
        let why = "--from-line 5: the file ends before this line, so nothing was sent";
        assert!(said.contains(why), "{said}");
        assert_eq!(exit, Some(1));
    }
    assert_eq!(world.in_stream().await, 0);
}
