//! Empty environment variables.
//!
//! Owns that an empty variable counts as unset, for all settings: `${NAME:-}` in a compose file sets it to an empty text.
//! Must never change a value that is not blank.

use clap::builder::Resettable;
use clap::{Arg, Command};

/// Returns the command line without its blank environment variables.
#[must_use]
pub fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(forget_if_blank)
        .mut_subcommands(without_empty_variables)
}

fn forget_if_blank(argument: Arg) -> Arg {
    let is_blank = argument.get_env().is_some_and(|name| {
        std::env::var_os(name).is_some_and(|value| value.to_string_lossy().trim().is_empty())
    });
    if is_blank {
        argument.env(Resettable::Reset)
    } else {
        argument
    }
}
