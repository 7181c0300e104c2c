//! `rolekeeper rules plan`: differences under proposed rules.

use serde_json::json;

use super::{change, changes, counted, done, earned, planned};
use crate::world::World;
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule, rules_file};

#[tokio::test]
async fn a_lower_threshold_lists_the_users_who_reach_it() {
    let world = World::start().await;
    for (name, plays) in [("ann", 60), ("bob", 40), ("cid", 100)] {
        world.played(name, plays).await;
    }
    world.settled().await;
    let file = rules_file(1, 50);
    let path = file.path().display().to_string();
    let (code, lines) = planned(&world, &["rules", "plan", &path]).await;
    assert_eq!((code, &lines[0]["proposed"]["version"]), (Some(2), &json!(1)));
    assert_eq!(changes(&lines[1..]), [change("ann", "granted")]);
    let (_, said) = done(&world, &["rules", "plan", &path]).await;
    assert!(
        said.contains("1 user would change under the proposed rules (version 1), in place of version 0"),
        "{said}"
    );
    assert!(
        said.contains("- playlist_editor: grant_at = 100")
            && said.contains("+ playlist_editor: grant_at = 50"),
        "{said}"
    );
    assert_eq!(
        world.number("SELECT version FROM rules_in_force").await,
        Some(0),
        "nothing changed"
    );
    let (code, _) = done(&world, &["plan"]).await;
    assert_eq!(code, Some(0));
}

/// F23: a rule changes from 100 to 150 while the worker runs; a role leaves the rules file; a bad file: `plan` shows it, the brake holds a
/// mass of revokes, a bad file is refused and the rules in force stay.
#[tokio::test]
async fn f23_a_higher_threshold_lists_losses_and_kept_roles() {
    let world = World::start().await;
    world.played("ann", 100).await;
    world.played("bob", 300).await;
    world.settled().await;
    let file = rules_file(1, 150);
    let (code, lines) = planned(&world, &["rules", "plan", &file.path().display().to_string()]).await;
    assert_eq!(
        (code, changes(&lines[1..])),
        (Some(2), vec![change("ann", "revoked")])
    );
    let kept = RulesFile::new(&rule(ROLE, 150, 150, "grace = \"1h\""));
    let (code, lines) = planned(&world, &["rules", "plan", &kept.path().display().to_string()]).await;
    assert_eq!(
        (code, &lines[0]["left"]),
        (Some(0), &json!([{"role": ROLE, "why": "kept", "users": 1}]))
    );
}

#[tokio::test]
async fn a_change_that_is_due_anyway_is_marked() {
    let world = earned(&["ann"]).await;
    world.played("bob", 60).await;
    counted(&world, &[("bob", 60)]).await;
    let file = rules_file(1, 50);
    let (_, lines) = planned(&world, &["rules", "plan", &file.path().display().to_string()]).await;
    assert_eq!(
        changes(&lines[1..]),
        [change("bob", "granted"), change("ann", "granted")]
    );
    assert_eq!(
        (&lines[1]["marks"], &lines[2]["marks"]),
        (&json!([]), &json!(["due_already"]))
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_put_in_force_is_planned_and_says_so() {
    let world = World::start().await;
    let (current, older, broken) = (rules_file(2, 50), rules_file(1, 70), rules_file(3, 1));
    broken.write_as_is("[[rule]]\nrole = 7");
    world
        .told(&["rules", "apply", &current.path().display().to_string()])
        .await;
    let (code, said) = done(&world, &["rules", "plan", &older.path().display().to_string()]).await;
    assert_eq!(code, Some(0));
    assert!(
        said.contains("These rules cannot be put in force: the file has version 1"),
        "{said}"
    );
    let (_, lines) = planned(&world, &["rules", "plan", &older.path().display().to_string()]).await;
    let refused = lines[0]["refused"].as_str();
    assert!(
        refused.is_some_and(|why| why.starts_with("the file has version 1")),
        "{refused:?}"
    );
    let (code, said) = done(&world, &["rules", "plan", &broken.path().display().to_string()]).await;
    assert!(
        code == Some(1) && said.contains("rules.toml: line 2: invalid type"),
        "{said}"
    );
}

#[tokio::test]
async fn f23_a_role_that_leaves_the_rules_stays() {
    let world = World::start().await;
    world.played("ann", 100).await;
    world.settled().await;
    let file = RulesFile::new(&rule("curator", 500, 500, ""));
    let (code, said) = done(&world, &["rules", "plan", &file.path().display().to_string()]).await;
    assert_eq!(code, Some(0));
    assert!(
        said.contains("playlist_editor leaves the rules: its holders keep it"),
        "{said}"
    );
}

#[tokio::test]
async fn a_rules_file_without_an_end_is_refused() {
    let world = World::start().await;
    for command in ["plan", "apply"] {
        let (code, said) = done(&world, &["rules", command, "/dev/zero"]).await;
        assert!(
            code == Some(1) && said.contains("/dev/zero: it is larger than 1048576 bytes"),
            "{said}"
        );
    }
}
