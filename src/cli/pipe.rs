//! `rolekeeper pipe`: rate, lag and age of each stage, and what stops it.
//!
//! Owns the text. Must never change anything, nor print a value that the page of the pipe does not show.

use anyhow::Result;
use clap::Args;

use super::output::{self, say};
use crate::app;
use crate::config::{BusArgs, DatabaseArgs, check_parts};
use crate::flow::pipe::PipeWatch;
use rolekeeper_domain::explanation::{moment, plain};
use rolekeeper_domain::view::pipe::Pipe;

/// Shows each stage of the whole deployment: its rate, what waits before it, and the age of the oldest; above it all that stops or holds
/// changes. It reads twice, 2 seconds apart, and changes nothing. Where NATS does not respond it says so, and shows the rest.
#[derive(Args, Debug)]
pub(super) struct PipeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    bus: BusArgs,
    /// One JSON object with all that is shown
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: PipeArgs) -> Result<()> {
    let PipeArgs { database, bus, json } = args;
    let (database, bus) = check_parts(&database, &bus)?;
    let store = app::connect_to_read(&database).await?;
    let watch = PipeWatch::new(store, app::bus(&bus).await?);
    let pipe = Box::pin(watch.read_twice()).await;
    if json {
        output::json(&*pipe)?;
    } else {
        shown(&pipe);
    }
    Ok(())
}

fn shown(pipe: &Pipe) {
    say!("As of {}; {}.", moment(pipe.at), pipe.rates_words());
    for obstacle in &pipe.obstacles {
        say!("{}", plain(obstacle));
    }
    if pipe.obstacles.is_empty() {
        say!("Nothing stops or holds changes.");
    }
    for stage in &pipe.stages {
        let name = stage.place.name();
        match pipe.flag(stage) {
            Some(flag) => say!("{name}: {flag}"),
            None => say!("{name}"),
        }
        for line in pipe.lines(stage).iter().filter(|line| !line.is_empty()) {
            say!("  {line}");
        }
    }
}
