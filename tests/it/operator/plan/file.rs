//! The plan file: whole or not there, and refused with line and field where it is damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;

use super::{done, earned, interrupted, place, queued};
use crate::world::user;

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

/// Sends the signal to a plan that waits for Postgres; returns its end, and the names that it leaves.
async fn ended_by(signal: Signal) -> (bool, String, Vec<String>) {
    let world = earned(&["ann"]).await;
    let (folder, _, path) = place();
    let (success, said) = interrupted(
        &world,
        &["plan", "-o", &path],
        "identities IN ACCESS EXCLUSIVE MODE",
        signal,
    )
    .await;
    (success, said, names(folder.path()))
}

#[tokio::test]
async fn an_interrupted_plan_leaves_no_file() {
    let (success, said, names) = ended_by(Signal::SIGINT).await;
    assert!(
        !success && said.contains("interrupted: no plan was made"),
        "{said}"
    );
    assert_eq!(names, Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_plan_leaves_no_file() {
    let (success, said, names) = ended_by(Signal::SIGKILL).await;
    assert!(!success, "{said}");
    assert_eq!(names, Vec::<String>::new());
}

#[tokio::test]
async fn a_plan_file_is_whole_and_its_owners_alone() {
    let world = earned(&["ann", "bob"]).await;
    let (folder, file, path) = place();
    fs::write(&file, "").expect("a file");
    done(&world, &["plan", "--user", &user("ann"), "-o", &path]).await;
    let (code, said) = done(&world, &["plan", "-o", &path]).await;
    assert!(
        code == Some(2) && said.contains("To apply it: rolekeeper apply "),
        "{said}"
    );
    assert_eq!(names(folder.path()), ["a.plan"]);
    assert_eq!(
        fs::metadata(&file).expect("a file").permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&file).expect("a text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() == 4 && lines[0].starts_with("{\"rolekeeper_plan\":1,"),
        "{text}"
    );
    assert!(
        lines[1].contains("\"user\":\"auth0|ann\"") && lines[3].starts_with("{\"end\":{\"users\":2,"),
        "{text}"
    );
    let (code, said) = done(&world, &["plan", "-o", &format!("{path}/x/y")]).await;
    assert!(
        code == Some(1) && said.contains("no file can be made here"),
        "{said}"
    );
}

#[tokio::test]
async fn a_damaged_plan_file_is_refused_and_nothing_is_done() {
    let world = earned(&["ann", "bob"]).await;
    let (_folder, file, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    let plan = fs::read_to_string(&file).expect("a text");
    let torn: String = plan.split_inclusive('\n').take(2).collect();
    for (text, fault) in [
        (String::new(), "line 1: not a plan of rolekeeper"),
        ("[[rule]]\n".to_owned(), "line 1: not a plan of rolekeeper"),
        (
            plan.replace("plan\":1,", "plan\":9,"),
            "line 1: rolekeeper_plan: the plan has format 9",
        ),
        (
            plan.replacen("\"facts\":", "\"fact\":", 1),
            "line 2: missing field `facts`",
        ),
        (
            plan.replace("120 plays", "121 plays"),
            "line 4: end.sha256: the lines before it were changed",
        ),
        (torn, "line 2: the file ends here, without the end of the plan"),
        (plan[..plan.len() - 9].to_owned(), "line 4: not JSON"),
        ("x".repeat(2 << 20), "line 1: longer than 1 MiB"),
    ] {
        fs::write(&file, text).expect("a file");
        let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
        assert!(
            code == Some(1) && said.contains(&format!("a.plan: {fault}")),
            "{fault}: {said}"
        );
    }
    fs::write(&file, [0xff, 0xfe, b'\n']).expect("a file");
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(code == Some(1) && said.contains("line 1: not UTF-8"), "{said}");
    assert!(queued(&world).await.is_empty());
}

#[tokio::test]
async fn a_plan_of_another_tenant_is_refused() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    world
        .run_sql("UPDATE tenant SET domain = 'other.eu.auth0.com'")
        .await;
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(1) && said.contains("line 1: tenant: the plan is of the tenant "),
        "{said}"
    );
    assert!(queued(&world).await.is_empty());
}
