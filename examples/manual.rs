//! Writes man pages and shell completions of `rolekeeper` into a folder.
//!
//! Owns the names of the files. A program of its own: a worker needs neither, and they would enlarge its binary.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::{Shell, generate_to};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: cargo run --example manual -- DIR");
        return ExitCode::FAILURE;
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{}: {why}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes `man1/` and `completions/` below the folder.
fn write(folder: &Path) -> std::io::Result<()> {
    let (man, completions) = (folder.join("man1"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(rolekeeper::cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut rolekeeper::cli::command(), "rolekeeper", &completions)?;
    }
    File::open(man.join("rolekeeper.1")).map(drop)
}
