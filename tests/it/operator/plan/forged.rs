//! A plan that was changed together with its end: it does nothing that the operator does not see, or that the facts do not give.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{done, earned, forget_queue, place, plan_of, queued};
use crate::world::World;
use crate::world::rules::rules_file;

/// Changes the lines of a plan, and makes its end fit.
fn forge(file: &Path, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(file).expect("a text");
    let end = text.find("{\"end\":").expect("an end");
    let lines = change(&text[..end]);
    let sha256 = Sha256::digest(&lines)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    let users = lines.lines().count() - 1;
    let end = format!("{{\"end\":{{\"users\":{users},\"sha256\":\"{sha256}\"}}}}\n");
    fs::write(file, lines + &end).expect("a file");
}

/// The lines with this text as the tenant, which has no quotes.
fn of_tenant(lines: &str, tenant: &str) -> String {
    let (before, behind) = lines.split_once("\"tenant\":\"").expect("a tenant");
    let (_, behind) = behind.split_once('"').expect("its end");
    format!("{before}\"tenant\":{tenant}{behind}")
}

#[tokio::test]
async fn a_plan_without_the_tenant_of_the_database_is_refused() {
    let world = earned(&["ann"]).await;
    let (_folder, file, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    forget_queue(&world).await;
    let plan = fs::read_to_string(&file).expect("a text");
    for (tenant, fault) in [
        ("null", "line 1: tenant: the plan names no tenant"),
        (
            "\"a\\u001b[31m\"",
            "line 1: tenant: the plan is of the tenant a [31m,",
        ),
    ] {
        fs::write(&file, &plan).expect("a file");
        forge(&file, |lines| of_tenant(lines, tenant));
        let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
        assert!(code == Some(1) && said.contains(fault), "{said}");
    }
    assert!(queued(&world).await.is_empty());
}

#[tokio::test]
async fn forged_rules_pass_the_checks_of_rules_apply() {
    let world = World::start().await;
    let (_folder, file, path) = place();
    let applied = rules_file(2, 70);
    world
        .told(&["rules", "apply", &applied.path().display().to_string()])
        .await;
    plan_of(&world, &rules_file(3, 50), &path).await;
    let plan = fs::read_to_string(&file).expect("a text");
    forge(&file, |lines| {
        lines.replacen("\"proposed\":{\"version\":3", "\"proposed\":{\"version\":1", 1)
    });
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(1) && said.contains("nothing was done: not put in force: the file has version 1"),
        "{said}"
    );
    fs::write(&file, plan).expect("a file");
    forge(&file, |lines| {
        lines.replacen("\"in_force\":{\"version\":2", "\"in_force\":{\"version\":4242", 1)
    });
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    let shown = "the plan puts rules of version 3 in force, in place of version 2:\n  - playlist_editor: grant_at = 70";
    assert!(code == Some(0) && said.contains(shown), "{said}");
    assert!(!said.contains("4242"), "{said}");
}

#[tokio::test]
async fn a_change_that_the_facts_do_not_give_is_refused() {
    let world = earned(&["ann"]).await;
    let (_folder, file, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    forget_queue(&world).await;
    forge(&file, |lines| {
        lines.replace("\"change\":\"granted\"", "\"change\":\"revoked\"")
    });
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(1) && said.contains("nothing was done, since the facts of 1 of 1 user have changed"),
        "{said}"
    );
    assert!(queued(&world).await.is_empty());
}
