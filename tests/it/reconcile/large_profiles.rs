//! Profiles that are too large to be read as a whole: what a decision needs is read alone.

use rolekeeper_sandbox::tenant::{ProfileLimit, TenantOptions};
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};
use crate::world::rules::{RulesFile, rule};
use crate::world::{Builder, World};

/// A world with a tenant that permits large profiles.
fn builder() -> Builder {
    let options = TenantOptions {
        profile_limit: ProfileLimit {
            warned_above: 4 << 20,
            refused_above: 4 << 20,
        },
        ..TenantOptions::default()
    };
    World::builder().tenant(options).env("AUTH0_TIMEOUT_S", 2)
}

/// A member that makes a profile too large.
fn large() -> Value {
    json!({"x": "y".repeat(2 << 20)})
}

#[tokio::test]
async fn a_profile_that_is_too_large_is_read_for_what_is_needed() {
    let world = builder().start().await;
    let ann = json!({"app_metadata": {"roles": ["mentor"]}, "user_metadata": large()});
    world.tenant.seed_user(ANN, ann).expect("a user");
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    assert_eq!(
        (world.roles(ANN), world.patches()),
        (vec!["mentor".to_owned(), ROLE.to_owned()], 1)
    );
}

#[tokio::test]
async fn a_block_is_seen_in_a_profile_that_is_too_large() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "only_if = [\"not_blocked\"]"));
    let world = builder().env("RULES_FILE", file.path().display()).start().await;
    world.connect_log_stream().await;
    let ann = json!({"email": "ann@example.com", "app_metadata": {"roles": ["mentor"]}});
    world.tenant.seed_user(ANN, ann).expect("a user");
    world.earn(ANN, "pl_1").await;
    world
        .eventually("she has the role", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
    world.quiet().await;
    let blocked = json!({"blocked": true, "user_metadata": large()});
    world.tenant.edit_unrecorded(ANN, blocked).expect("an edit");
    world.tenant.verify_email(ANN).expect("a link in a mail");
    world
        .eventually("she loses the role", async || world.roles(ANN) == ["mentor"])
        .await;
}

#[tokio::test]
async fn a_link_is_seen_in_a_profile_that_is_too_large() {
    let world = builder().start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    let grown = json!({"user_metadata": large()});
    world.tenant.edit_unrecorded(ANN, grown).expect("an edit");
    world.link();
    world
        .eventually("the primary has the role", async || {
            world.roles(ANN) == ["mentor", ROLE]
        })
        .await;
    assert!(world.tenant.user(GOOGLE).is_none(), "it is linked");
}
