//! The page of the settings and the commands.
//!
//! Owns its form. Must never say anything that `--help` does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

const HEAD: &str = "# Settings and commands

This page is made from the program by `cargo run --example reference -- docs`; a test compares them. [Operating](operating.md#settings)
explains the settings to think about. A flag outweighs its variable, and an empty variable counts as unset. A setting that holds a secret
has a second one, with the suffix `_FILE`, that names a file with the value.

## Settings

Each setting is a variable of the environment and a flag of the named commands; *many* stands for more than twelve.

";

/// A setting, and the commands that have it.
struct Setting {
    row: Row,
    commands: Vec<String>,
}

/// The texts of an argument.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    name: String,
    default: String,
    meaning: String,
}

/// The page.
pub(crate) fn page() -> String {
    let mut command = rolekeeper::cli::command();
    command.build();
    let mut settings: BTreeMap<String, Vec<Setting>> = BTreeMap::new();
    let mut commands = String::new();
    walk(&command, &mut settings, &mut commands);
    let mut page = HEAD.to_owned();
    page.push_str("| variable | flag | default | meaning | commands |\n| --- | --- | --- | --- | --- |\n");
    for (variable, all) in &settings {
        for Setting { row, commands } in all {
            let Row {
                name,
                default,
                meaning,
            } = row;
            let commands = if commands.len() > 12 {
                "*many*".to_owned()
            } else {
                commands.join(", ")
            };
            let _ = writeln!(
                page,
                "| `{variable}` | {name} | {default} | {meaning} | {commands} |"
            );
        }
    }
    page + "\n## Commands\n\nOf each command the arguments without a variable.\n" + &commands
}

/// Notes the settings and the arguments of a command and its subcommands.
fn walk(command: &Command, settings: &mut BTreeMap<String, Vec<Setting>>, commands: &mut String) {
    let path = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let path = path.strip_prefix("rolekeeper ").unwrap_or_default();
    let mut table = String::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if ["help", "version"].contains(&argument.get_id().as_str())
            || (argument.is_global_set() && !path.is_empty())
        {
            continue;
        }
        let row = row(argument);
        if let Some(variable) = argument.get_env() {
            note(settings, &variable.to_string_lossy(), row, path);
        } else {
            let Row {
                name,
                default,
                meaning,
            } = row;
            let _ = writeln!(table, "| {name} | {default} | {meaning} |");
        }
    }
    if !path.is_empty() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(commands, "\n### {path}\n\n{}\n", text(&about));
        if !table.is_empty() {
            let _ = write!(
                commands,
                "\n| argument | default | meaning |\n| --- | --- | --- |\n{table}"
            );
        }
    }
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        walk(subcommand, settings, commands);
    }
}

fn note(settings: &mut BTreeMap<String, Vec<Setting>>, variable: &str, row: Row, path: &str) {
    let same = settings.entry(variable.to_owned()).or_default();
    let command = if path.is_empty() {
        "*every command*".to_owned()
    } else {
        format!("`{path}`")
    };
    match same.iter_mut().find(|setting| setting.row == row) {
        Some(setting) => setting.commands.push(command),
        None => same.push(Setting {
            row,
            commands: vec![command],
        }),
    }
}

fn row(argument: &Arg) -> Row {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    // A default that depends on another setting stands in the help.
    let (meaning, in_help) = match help.split_once(" [") {
        Some((meaning, default)) if default.ends_with(']') => (
            meaning.to_owned(),
            default
                .trim_end_matches(']')
                .trim_start_matches("default: ")
                .to_owned(),
        ),
        _ => (help, String::new()),
    };
    let values: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    let is_flag = !takes_a_value(argument);
    let default = match values.join(",") {
        _ if is_flag => String::new(),
        none if none.is_empty() => text(&in_help),
        default => format!("`{default}`"),
    };
    let mut meaning = text(&meaning);
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !words.is_empty() && !is_flag {
        let _ = write!(meaning, ": {}", words.join(", "));
    }
    if let Some(bounds) = bounds(argument).filter(|bounds| !meaning.contains(bounds)) {
        let _ = write!(meaning, "; {bounds}");
    }
    Row {
        name: name(argument),
        default,
        meaning,
    }
}

fn takes_a_value(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}

/// How the argument is written.
fn name(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    match argument.get_long() {
        None => format!("`{}`", values.join(" ")),
        Some(long) if !takes_a_value(argument) => format!("`--{long}`"),
        Some(long) if argument.get_env().is_some() => format!("`--{long}`"),
        Some(long) => format!("`--{long} {}`", values.join(" ")),
    }
}

/// The bounds of a number, as the parser of the argument says them.
fn bounds(argument: &Arg) -> Option<String> {
    if !takes_a_value(argument) {
        return None;
    }
    let alone = Arg::new("number")
        .long("number")
        .value_parser(argument.get_value_parser().clone());
    let alone = Command::new("rolekeeper").arg(alone);
    ["-1", "0", "65536", "9223372036854775807"]
        .into_iter()
        .find_map(|probe| {
            let fault = alone
                .clone()
                .try_get_matches_from(["rolekeeper", &format!("--number={probe}")])
                .err()?;
            let fault = fault.to_string();
            let (_, range) = fault.lines().next()?.split_once(" is not in ")?;
            let (first, last) = range.split_once("..")?;
            let last = last
                .strip_prefix('=')
                .map_or_else(|| last.parse().map(|end: i64| end - 1), str::parse);
            // The largest number of its type is no bound.
            Some(match last {
                Ok(last) if last < i64::from(u32::MAX) => format!("{first} to {last}"),
                _ => format!("{first} or more"),
            })
        })
}

/// One line of Markdown.
fn text(help: &str) -> String {
    let words: Vec<&str> = help.split_whitespace().collect();
    words.join(" ").replace('|', "\\|").replace('<', "&lt;")
}
