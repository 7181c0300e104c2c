//! Pins that are refused: without meaning, of an erased user, or beside a worker that would undo them.

use serde_json::{Value, json};

use super::pins::{pin, world};
use crate::world::erasure::{self, named};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{text, user};

#[tokio::test]
async fn a_pin_that_cannot_mean_anything_is_refused() {
    let world = world().await;
    world
        .told(&["pin", &user("bob"), ROLE, "off", "--why", "a ban"])
        .await;
    world.quiet().await;
    let (ann, bob) = (user("ann"), user("bob"));
    let table: [(&[&str], &str); 6] = [
        (
            &[&ann, "mentr", "on", "--why", "x"],
            "no rule in force names this role, so a pin would have no effect",
        ),
        (
            &[&ann, ROLE, "on", "--why", "x", "--until", "2020-01-01T00:00:00Z"],
            "expected a time in the future",
        ),
        (
            &[&ann, ROLE, "on", "--why", "x", "--until", "soon"],
            "expected a time such as",
        ),
        (&[&ann, ROLE, "on"], "--why"),
        (
            &[&ann, "admin", "on", "--why", "x"],
            "FORBIDDEN_ROLES lists this role",
        ),
        (&[&bob, ROLE, "on", "--why", "x"], "is pinned off, by"),
    ];
    for (arguments, says) in table {
        let output = world.command(&[&["pin"], arguments].concat()).await;
        assert!(
            !output.status.success() && text(&output).contains(says),
            "{}",
            text(&output)
        );
    }
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(1));
    // Off in place of on is no risk.
    pin(&world, "cid", "on", &[]).await;
    let said = pin(&world, "cid", "off", &[]).await;
    assert!(said.contains("in place of the pin on by"), "{said}");
}

/// F58: a pin, a ban, a removal by hand under each `manual`, across links, erasures, rule changes: as the pin says.
#[tokio::test]
async fn f58_a_pin_of_an_erased_user_goes_and_no_other_is_taken() {
    let world = erasure::world().start().await;
    let ann = erasure::ANN;
    world.seed_user(ann, &["mentor"]);
    world.earn(ann, "pl_ann").await;
    world
        .told(&["pin", ann, ROLE, "off", "--why", &format!("{ann} plays alone")])
        .await;
    world.quiet().await;
    let export: Value = serde_json::from_str(&world.told(&["export", ann]).await).expect("JSON");
    assert_eq!(export["tables"]["operator_acts"][0]["command"], "pin");
    erasure::erase(&world).await;
    assert_eq!(named(&world).await, [].into());
    let again = world.command(&["pin", ann, ROLE, "on", "--why", "x"]).await;
    assert!(
        text(&again).contains("the user was erased") && !again.status.success(),
        "{}",
        text(&again)
    );
    let without_key = world
        .command_with(&["pin", ann, ROLE, "on", "--why", "x"], &[("ERASURE_KEY", "")])
        .await;
    assert!(
        text(&without_key).contains("ERASURE_KEY: not set"),
        "{}",
        text(&without_key)
    );
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(0));
}

/// The record of a removal, which stands in place of a pin, is erased with its user.
#[tokio::test]
async fn f58_a_removal_by_hand_goes_with_the_erased_user() {
    for manual in ["restore", "respect", "alert"] {
        let file = RulesFile::new(&rule(ROLE, 100, 100, &format!("manual = \"{manual}\"")));
        let builder = erasure::world().env("RULES_FILE", file.path().display());
        let (world, ann) = (builder.start().await, erasure::ANN);
        world.connect_log_stream().await;
        world.seed_user(ann, &["mentor"]);
        world.earn(ann, "pl_ann").await;
        world.rests_with(ann, &["mentor", ROLE]).await;
        let without = json!({"app_metadata": {"roles": ["mentor"]}});
        world
            .tenant
            .edit_by_other_client("crm", ann, without)
            .expect("an edit");
        let seen = "SELECT count(*) FROM role_changes WHERE change = 'taken'";
        world.count_is("the removal is seen", seen, 1).await;
        world.quiet().await;
        erasure::erase(&world).await;
        world.quiet().await;
        assert_eq!(named(&world).await, [].into(), "{manual}");
        let left = "SELECT (SELECT count(*) FROM pins) + (SELECT count(*) FROM removals) + (SELECT count(*) FROM assignments)";
        assert_eq!(world.number(left).await, Some(0), "{manual}");
    }
}

#[tokio::test]
async fn a_worker_that_would_undo_a_pin_is_named() {
    let world = world().await;
    let older = "INSERT INTO workers (worker_id, name, release, rules_format, own_limits)
                 VALUES (gen_random_uuid(), 'old/1', '0.0.9', 1, '{}')";
    world.run_sql(older).await;
    let pin = world
        .command(&["pin", &user("ann"), ROLE, "off", "--why", "x"])
        .await;
    let said = text(&pin);
    assert!(
        !pin.status.success() && said.contains("old/1 (release 0.0.9) does not know pins"),
        "{said}"
    );
    assert_eq!(world.number("SELECT count(*) FROM work_queue").await, Some(0));
}
