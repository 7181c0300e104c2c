//! Writes the pages of the book that are made from the program: `settings.md` and `metrics.md`.
//!
//! Owns the names of the files. A program of its own: a worker does not need their text.

use std::path::PathBuf;
use std::process::ExitCode;

mod metrics;
mod settings;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: cargo run --example reference -- docs");
        return ExitCode::FAILURE;
    };
    for (name, text) in [("settings.md", settings::page()), ("metrics.md", metrics::page())] {
        if let Err(why) = std::fs::write(folder.join(name), text) {
            eprintln!("{}: {why}", folder.join(name).display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
