//! Settings that are there and empty.
//!
//! Owns that an empty variable counts as unset, for every setting alike: `${NAME:-}` in a compose file sets it to nothing.
//! Must never look at a value that is not blank.

use clap::builder::Resettable;
use clap::{Arg, Command};

/// The same command line, which does not look at variables that are blank.
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
