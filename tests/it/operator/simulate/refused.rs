//! Bad input, and servers that do not respond.

use super::proposed;
use crate::world::events::plays;
use crate::world::rules::RulesFile;
use crate::world::{World, text};

#[tokio::test]
async fn a_bad_rules_file_is_refused_with_the_field() {
    let world = World::builder().workers(0).start().await;
    for (rules, why) in [
        (
            "role = \"r\"\ngrant_at = 1\nrevoke_below = 0",
            "revoke_below: expected at least 1, got 0",
        ),
        (
            "role = \"r\"\ngrant_att = 1\nrevoke_below = 1",
            "unknown field `grant_att`",
        ),
        (
            "role = \"admin\"\ngrant_at = 1\nrevoke_below = 1",
            "\"admin\", which FORBIDDEN_ROLES lists",
        ),
    ] {
        let file = RulesFile::new(&format!("[[rule]]\n{rules}"));
        let path = file.path().display().to_string();
        let output = world.command(&["simulate", "--rules", &path]).await;
        let said = text(&output);
        assert!(said.contains(why) && said.contains(&path), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
    let output = world.command(&["simulate", "--rules", "/missing.toml"]).await;
    assert!(text(&output).contains("/missing.toml: "), "{}", text(&output));
}

#[tokio::test]
async fn without_a_server_the_reason_is_named() {
    let world = World::builder().workers(0).start().await;
    let file = proposed(10, 10);
    let path = file.path().display().to_string();
    let arguments = ["simulate", "--rules", &path];
    for (setting, url, why) in [
        (
            "NATS_URL",
            "nats://127.0.0.1:1",
            "the last attempt to connect failed",
        ),
        ("DATABASE_URL", "postgres://127.0.0.1:1/none", "refused"),
    ] {
        let output = world.command_with(&arguments, &[(setting, url)]).await;
        assert!(text(&output).contains(why), "{}", text(&output));
        assert_eq!(output.status.code(), Some(1));
    }
    assert!(world.unread(&arguments).await, "a closed pipe");
}

#[tokio::test]
async fn a_temporary_file_that_fails_is_named_with_the_way_out() {
    let world = World::builder().workers(0).start().await;
    world.publish(&plays("a", "pl_1", 0..2)).await;
    let file = proposed(10, 10);
    let path = file.path().display().to_string();
    let arguments = ["simulate", "--rules", &path];
    let output = world.command_with(&arguments, &[("TMPDIR", "/missing")]).await;
    let said = text(&output);
    assert!(
        said.contains("the temporary file in /missing failed") && said.contains("set TMPDIR"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}
