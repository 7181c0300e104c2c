//! Man pages and shell completions of all commands.

use std::path::Path;

use clap_complete::{Shell, generate};

use crate::world::World;

/// Checks the man page of a command and those of its subcommands; returns their number.
fn checked(folder: &Path, command: &clap::Command, name: &str) -> usize {
    let page = folder.join(format!("{name}.1"));
    let text = std::fs::read_to_string(&page).unwrap_or_else(|why| panic!("{}: {why}", page.display()));
    let subcommands = command.get_subcommands().filter(|one| one.get_name() != "help");
    assert!(
        text.contains("Example") || name == "rolekeeper",
        "{name} has no example"
    );
    1 + subcommands
        .map(|one| checked(folder, one, &format!("{name}-{}", one.get_name())))
        .sum::<usize>()
}

#[test]
fn every_command_has_a_man_page_with_an_example() {
    let folder = tempfile::tempdir().expect("a folder");
    clap_mangen::generate_to(rolekeeper::cli::command(), folder.path()).expect("man pages");
    let pages = checked(folder.path(), &rolekeeper::cli::command(), "rolekeeper");
    assert!(pages > 30, "{pages}");
}

#[tokio::test]
async fn the_binary_prints_completions() {
    let world = World::builder().workers(0).start().await;
    for shell in ["bash", "zsh", "fish"] {
        let text = world.told(&["completions", shell]).await;
        assert!(text.contains("dead-letters") && text.contains("undo"), "{shell}");
    }
    let output = world.command(&["completions", "csh"]).await;
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn completions_know_commands_and_flags() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        generate(shell, &mut rolekeeper::cli::command(), "rolekeeper", &mut text);
        let text = String::from_utf8(text).expect("UTF-8");
        for word in ["evidence", "dead-letters", "sample"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
}
