//! The examples in `--help`.
//!
//! Owns an example for each command whose own help has none. A test parses all of them.

use clap::Command;

/// Commands, with their subcommands, and the arguments of the example.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "accept-stream",
        "APP_EVENTS --why 'the volume was lost, ticket 7'",
    ),
    ("acts", "--limit 10"),
    ("adopt", "--role playlist_editor --users-file holders.txt"),
    ("announce", "--from 2026-11-23T10:00:00Z"),
    ("brake", "--show 50"),
    ("brake drop", "revokes --why 'the rule was wrong, ticket 7'"),
    ("brake engage", "grants --why 'undo of act 41'"),
    ("brake release", "grants --why 'first day'"),
    ("changes", "--period week"),
    ("discover", "--why 'first day'"),
    ("erase", "'auth0|6132829445244d0069782a78'"),
    ("export", "'auth0|6132829445244d0069782a78'"),
    ("forgive", "--playlist 37i9dQZF1DX --why 'ticket 7'"),
    ("limits", ""),
    ("limits set", "reserve 0.3 --why 'an import runs tonight'"),
    ("migrate", ""),
    (
        "move",
        "'auth0|6132829445244d0069782a78' 'samlp|acme|ann' --why 'new connection'",
    ),
    ("openapi", ""),
    ("parked", "--json"),
    ("pause", "--why 'Auth0 has an incident'"),
    (
        "pin",
        "'auth0|6132829445244d0069782a78' playlist_editor off --why 'a ban, ticket 7'",
    ),
    ("pipe", ""),
    ("pins", "--role playlist_editor"),
    ("queue", "--next 5 --limit 0"),
    ("readmit", "'google-oauth2|7' --why 'the user signed up again'"),
    ("rebuild", "--partition 7 --why 'ticket 7'"),
    ("requeue", "--user 'auth0|6132829445244d0069782a78'"),
    ("resume", "--why 'the incident is over'"),
    ("rules", "show"),
    ("rules apply", "rules.toml --why 'ticket 7'"),
    ("rules show", ""),
    ("serve", "--rules-file rules.toml"),
    ("skip", "APP_EVENTS 4711 --why 'ticket 7'"),
    ("tenant", ""),
    ("tenant move", "--to tenant.eu.auth0.com"),
    (
        "unpin",
        "'auth0|6132829445244d0069782a78' playlist_editor --why 'appeal'",
    ),
];

/// Adds the examples to a command and its subcommands; `path` are their names, without that of the program.
pub(super) fn added(command: Command, path: &str) -> Command {
    let example = EXAMPLES.iter().find(|(name, _)| *name == path);
    let mut command = match example {
        Some((name, arguments)) if command.get_after_help().is_none() => {
            let line = format!("rolekeeper {name} {arguments}");
            command.after_help(format!("Example:\n  {}", line.trim_end()))
        }
        _ => command,
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(&name, |subcommand| added(subcommand, path.trim_start()));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::Command;

    /// The arguments of a line, as a shell reads them as far as the examples need.
    fn arguments(line: &str) -> Vec<String> {
        let (mut all, mut quote) = (vec![String::new()], None);
        for sign in line.split(" | ").next().unwrap_or_default().chars() {
            let last = all.last_mut().unwrap();
            match (sign, quote) {
                ('\'' | '"', None) => quote = Some(sign),
                (sign, Some(open)) if sign == open => quote = None,
                (' ', None) => all.push(String::new()),
                (sign, _) => last.push(sign),
            }
        }
        all
    }

    /// The examples in the help of a command.
    fn examples(command: &Command, path: &str) -> Vec<String> {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let begin = format!("rolekeeper {path}");
        let lines = help.lines().filter(|line| line.starts_with("  "));
        // A setting or another program may stand before it.
        let examples = lines.filter_map(|line| Some(line[line.find(&begin)?..].to_owned()));
        examples.collect()
    }

    fn check(command: &Command, path: &str) {
        for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
            let path = format!("{path} {}", subcommand.get_name());
            let path = path.trim_start();
            let examples = examples(subcommand, path);
            assert!(!examples.is_empty(), "{path} has no example in its help");
            for example in examples {
                let parsed = super::super::command().try_get_matches_from(arguments(&example));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
            check(subcommand, path);
        }
    }

    /// The commands of rolekeeper in the runbooks, without the settings before them.
    fn of_runbooks() -> Vec<String> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        let files = std::fs::read_dir(folder).expect("the runbooks");
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let codes: Vec<String> = texts
            .flat_map(|text| {
                text.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        let ours = codes.iter().filter_map(|code| {
            let at = code.find("rolekeeper ")?;
            let before = &code[..at];
            let is_command = before.is_empty() || before.ends_with(' ') && before.contains('=');
            is_command.then(|| code[at..].to_owned())
        });
        ours.collect()
    }

    #[test]
    fn the_runbooks_name_commands_that_exist() {
        let commands = of_runbooks();
        assert!(commands.len() > 40, "the runbooks were not read");
        for line in commands {
            let parsed = super::super::command().try_get_matches_from(arguments(&line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    /// The paths of all commands with a reason.
    fn with_reason(command: &Command, path: &[String]) -> Vec<Vec<String>> {
        let named = |one: &Command| [path, &[one.get_name().to_owned()]].concat();
        let subcommands = command.get_subcommands();
        subcommands
            .flat_map(|one| {
                let mut args = one.get_arguments();
                let is_why = |arg: &clap::Arg| {
                    arg.get_long() == Some("why")
                        || arg
                            .get_visible_aliases()
                            .is_some_and(|names| names.contains(&"why"))
                };
                let own = args.any(is_why).then(|| named(one));
                own.into_iter().chain(with_reason(one, &named(one)))
            })
            .collect()
    }

    #[test]
    fn no_reason_may_be_empty() {
        let paths = with_reason(&super::super::command(), &[]);
        assert!(paths.len() > 12, "{paths:?}");
        for path in paths {
            let mut line = [vec!["rolekeeper".to_owned()], path].concat();
            line.extend(["--why".to_owned(), String::new()]);
            let parsed = super::super::command().try_get_matches_from(&line);
            let kind = parsed.map_err(|refused| refused.kind()).err();
            assert_eq!(kind, Some(clap::error::ErrorKind::InvalidValue), "{line:?}");
        }
    }

    #[test]
    fn every_command_has_an_example_that_it_accepts() {
        check(&super::super::command(), "");
    }
}
