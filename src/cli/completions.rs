//! `rolekeeper completions`: completions of the command line for a shell.
//!
//! Owns the list of shells. Must never write a file: the operator knows where the shell looks for it.

use clap::{Args, Command, ValueEnum};
use clap_complete::generate;
use clap_complete::shells;

use super::output;

/// Name of the binary.
const BINARY: &str = "rolekeeper";

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper completions bash | sudo tee /etc/bash_completion.d/rolekeeper
  rolekeeper completions fish | source";

/// Prints completions of all commands and flags for a shell.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints completions of this command line.
pub(super) fn run(args: &CompletionsArgs, mut command: Command) {
    let mut text = Vec::new();
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, BINARY, &mut text),
        Shell::Zsh => generate(shells::Zsh, &mut command, BINARY, &mut text),
        Shell::Fish => generate(shells::Fish, &mut command, BINARY, &mut text),
    }
    output::to_stdout(format_args!("{}", String::from_utf8_lossy(&text)));
}
