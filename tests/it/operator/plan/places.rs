//! Where a plan is written and read: it replaces nothing but a plan, and a pipe or a full disk is an error.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::Command;

use super::{done, earned, place, planned};
use crate::world::binary;

#[tokio::test]
async fn a_plan_replaces_nothing_but_a_plan() {
    let world = earned(&["ann"]).await;
    let (_folder, file, path) = place();
    fs::write(&file, "[[rule]]\n").expect("a file");
    let (code, said) = done(&world, &["plan", "-o", &path]).await;
    let refused = "a.plan: no plan was made: this file is not a plan of this release";
    assert!(code == Some(1) && said.contains(refused), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("a text"), "[[rule]]\n");
    fs::remove_file(&file).expect("a file");
    let made = Command::new("mkfifo").arg(&file).status();
    assert!(made.expect("mkfifo runs").success());
    let (code, said) = done(&world, &["plan", "-o", &path]).await;
    assert!(
        code == Some(1) && said.contains("this is no regular file"),
        "{said}"
    );
    let kind = fs::metadata(&file).expect("the pipe").file_type();
    assert!(kind.is_fifo());
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(1) && said.contains("a.plan: expected a regular file"),
        "{said}"
    );
}

#[tokio::test]
async fn a_plan_behind_a_symbolic_link_is_replaced_in_its_place() {
    let world = earned(&["ann"]).await;
    let (folder, file, path) = place();
    let link = folder.path().join("link");
    done(&world, &["plan", "-o", &path]).await;
    symlink(&file, &link).expect("a link");
    let before = fs::read_to_string(&file).expect("a text");
    let (code, said) = done(&world, &["plan", "-o", &link.display().to_string()]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_ne!(fs::read_to_string(&file).expect("a text"), before);
}

#[tokio::test]
async fn the_path_of_a_plan_is_shown_without_control_characters() {
    let world = earned(&["ann"]).await;
    let (folder, ..) = place();
    let path = folder.path().join("a\u{1b}[31m\nb").display().to_string();
    let (code, said) = done(&world, &["plan", "-o", &path]).await;
    assert!(code == Some(2) && said.contains("/a [31m b --why TEXT"), "{said}");
    let (_, said) = done(&world, &["apply", &format!("{path}x"), "--why", "a test"]).await;
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[tokio::test]
async fn an_output_error_is_no_difference() {
    let world = earned(&["ann"]).await;
    let (code, _) = planned(&world, &["plan"]).await;
    assert_eq!(code, Some(2));
    let mut plan = tokio::process::Command::new(binary());
    plan.args(["plan", "--json"]).env_clear();
    plan.env("DATABASE_URL", world.setting("DATABASE_URL"));
    plan.stdout(File::options().write(true).open("/dev/full").expect("a device"));
    let status = plan.status().await.expect("the binary runs");
    assert_eq!(status.code(), Some(1));
}
