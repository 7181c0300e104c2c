//! The pages of the book that are made from the program, and the bounds in the help of its settings.

#[path = "../../../examples/reference/metrics.rs"]
mod metrics;
#[path = "../../../examples/reference/settings.rs"]
mod settings;

use std::fs;
use std::path::Path;

use crate::world::World;

/// Compares a page with what the program makes of it now.
fn compare(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let page = fs::read_to_string(path).expect("a page of the book");
    let differs = page.lines().zip(made.lines()).find(|(page, made)| page != made);
    assert!(
        page == made,
        "docs/{name} differs, first at {differs:?}: run `cargo run --example reference -- docs`"
    );
}

#[test]
fn the_page_of_the_settings_is_that_of_the_program() {
    compare("settings.md", &settings::page());
}

#[cfg(target_os = "linux")]
#[test]
fn the_page_of_the_metrics_is_that_of_the_program() {
    compare("metrics.md", &metrics::page());
}

/// Every variable of a command, with its help.
fn variables(name: &str) -> Vec<(String, String)> {
    let command = rolekeeper::cli::command();
    let command = command.find_subcommand(name).expect("a command");
    let of_argument = |argument: &clap::Arg| {
        let variable = argument.get_env()?.to_string_lossy().into_owned();
        Some((variable, argument.get_help()?.to_string()))
    };
    command.get_arguments().filter_map(of_argument).collect()
}

#[tokio::test]
async fn the_bounds_in_the_help_are_those_of_the_check() {
    let world = World::builder().workers(0).start().await;
    let mut seen = 0;
    for command in ["serve", "migrate"] {
        let variables = variables(command);
        // Without a stage nothing of it is checked.
        let names = variables.iter().map(|(variable, _)| variable.as_str());
        let wrong: Vec<_> = names
            .filter(|name| *name != "ONLY")
            .map(|name| (name, "x"))
            .collect();
        let output = world.command_with(&[command], &wrong).await;
        let faults = String::from_utf8_lossy(&output.stderr).into_owned();
        for (variable, help) in &variables {
            let of_it = format!("  {variable}: got \"x\", expected a number from ");
            let Some(bounds) = faults.lines().find_map(|line| line.strip_prefix(&of_it)) else {
                continue;
            };
            assert!(
                help.contains(bounds),
                "{variable} takes {bounds}, and its help says: {help}"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} numbers");
}
