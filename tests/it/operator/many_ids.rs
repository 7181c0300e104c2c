//! Commands that take the ids of many users from a file.

use std::path::PathBuf;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::json;
use tempfile::TempDir;

use crate::world::erasure::{ANN, BOB, named, world};
use crate::world::oracle::ROLE;
use crate::world::{World, text};

const ERASED: &str = "SELECT count(*) FROM erasures";
const NEW: [&str; 2] = ["samlp|acme|ann", "samlp|acme|bob"];

/// Ann and Bob hold a role; the folder is for a file.
async fn holders() -> (World, TempDir) {
    let world = world().start().await;
    world.connect_log_stream().await;
    for (user, playlist) in [(ANN, "pl_ann"), (BOB, "pl_bob")] {
        world.seed_user(user, &[]);
        world.earn(user, playlist).await;
        world.rests_with(user, &[ROLE]).await;
    }
    (world, tempfile::tempdir().expect("a folder"))
}

fn file(folder: &TempDir, lines: &str) -> PathBuf {
    let path = folder.path().join("ids.txt");
    std::fs::write(&path, lines).expect("a file");
    path
}

#[tokio::test]
async fn a_file_of_users_is_erased_and_bad_lines_are_named() {
    let (world, folder) = holders().await;
    assert!(world.tenant.delete_user(ANN));
    world.quiet().await;
    let lines = format!("no-provider\n{BOB}\n\n  {ANN}\r\n");
    let path = file(&folder, &lines).display().to_string();
    let erase = ["erase", "--file", &path];
    let said = text(&world.command(&erase).await);
    for part in [
        "line 1: user \"no-provider\": expected a provider and an id",
        "line 2: auth0|bob: Auth0 still knows this user",
        "lines done: 1, failed: 2",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(world.number(ERASED).await, Some(1));
    assert_eq!(named(&world).await, [].into());
    assert!(world.tenant.delete_user(BOB));
    world.quiet().await;
    file(&folder, &format!("{BOB}\n{ANN}\n"));
    let busy = Fault::Status {
        code: 429,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: None,
    };
    let reads = CallMatch::to(Endpoint::ReadUser);
    world.tenant.fault_once(reads, busy);
    let said = world.told(&erase).await;
    assert!(
        said.contains("erased again") && said.contains("lines done: 2"),
        "{said}"
    );
    assert_eq!(world.number(ERASED).await, Some(2));
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_an_id() {
    let (world, folder) = holders().await;
    assert!(world.tenant.delete_user(ANN));
    world.quiet().await;
    let path = file(&folder, &format!("\u{feff}{ANN}\r\n")).display().to_string();
    let said = world.told(&["erase", "--file", &path]).await;
    assert!(said.contains("lines done: 1"), "{said}");
    assert_eq!(named(&world).await, [].into());
}

#[tokio::test]
async fn a_file_of_users_ends_where_auth0_fails() {
    let (world, folder) = holders().await;
    for user in [ANN, BOB] {
        assert!(world.tenant.delete_user(user));
    }
    world.quiet().await;
    let path = file(&folder, &format!("{ANN}\n{BOB}\n")).display().to_string();
    let reads = CallMatch::to(Endpoint::ReadUser).user(BOB);
    world.tenant.hold_fault(reads, Fault::status(503));
    let output = world.command(&["erase", "--file", &path]).await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("line 2: auth0|bob: nothing was done"),
        "{said}"
    );
    assert!(said.contains("Lines done before it: 1"), "{said}");
    assert_eq!(world.number(ERASED).await, Some(1));
}

#[tokio::test]
async fn a_file_of_moves_is_done_line_by_line() {
    let (world, folder) = holders().await;
    for (old, new) in [ANN, BOB].into_iter().zip(NEW) {
        assert!(world.tenant.delete_user(old));
        world.tenant.create_user(new, json!({})).expect("a sign-up");
    }
    world.quiet().await;
    let lines = format!("{ANN}\t{}\nauth0|nobody\n{BOB}\t{}\n", NEW[0], NEW[1]);
    let path = file(&folder, &lines).display().to_string();
    let moves = ["move", "--file", &path, "--why", "single sign-on"];
    let output = world.command(&moves).await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("line 2: expected two ids, separated by a tab"),
        "{said}"
    );
    world.linked(2).await;
    for new in NEW {
        world.rests_with(new, &[ROLE]).await;
    }
    file(&folder, &format!("{ANN}\t{}\n{BOB}\t{}\n", NEW[0], NEW[1]));
    let said = world.told(&moves).await;
    assert_eq!(said.matches("was moved to").count(), 2, "{said}");
    let undone = [&moves[..], &["--undo"]].concat();
    world.told(&undone).await;
    world.linked(0).await;
}
