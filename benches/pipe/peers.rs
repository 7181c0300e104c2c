//! Peers: simple programs with the same task, each on the same stream and a copy of the same database, together with the pipe.
//!
//! Owns the list of peers, their order, and the factors by which the pipe must be faster. Must never compare with a pipe of
//! another run, nor lose a figure because another program hangs: a peer that fails has no figures, and does not run again.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::ground::Ground;
use crate::peer::{Language, Peer, Way};
use crate::program::TEMPLATE;
use crate::table::{Goal, Table, median};
use crate::{database, pipe};

const ONE: Way = Way::PerEvent { at_once: 1 };
const EIGHT: Way = Way::PerEvent { at_once: 8 };

/// The peers in their order, with the factors by which the pipe must be faster.
const PEERS: &[(Peer, Option<f64>)] = &[
    (Peer::new(Language::Rust, ONE), None),
    (Peer::new(Language::Rust, EIGHT), None),
    (Peer::new(Language::Node, ONE), Some(80.0)),
    (Peer::new(Language::Node, EIGHT), Some(35.0)),
    (Peer::new(Language::Node, Way::Batched), Some(2.0)),
    (Peer::new(Language::Python, ONE), None),
    (Peer::new(Language::Python, EIGHT), None),
    (Peer::new(Language::Python, Way::Batched), Some(6.0)),
];
/// Number of peers after which the pipe runs again, so that a noisy minute of the host affects both.
const PEERS_BETWEEN_PIPES: usize = 4;

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    install()?;
    let mut pipes = Vec::new();
    let mut speeds: Vec<Option<Vec<f64>>> = PEERS.iter().map(|_| Some(Vec::new())).collect();
    for round in 1..=ground.sizes.rounds {
        for (index, ((peer, _), speeds)) in PEERS.iter().zip(&mut speeds).enumerate() {
            if index % PEERS_BETWEEN_PIPES == 0 {
                let speed = pipe_once(ground).await?;
                ground.say(&format!("round {round}: pipe {speed:.0}/s"));
                pipes.push(speed);
            }
            let Some(of_rounds) = speeds else { continue };
            match peer.run(ground).await.with_context(|| peer.to_string())? {
                Ok(speed) => {
                    ground.say(&format!("round {round}: {peer} {speed:.0}/s"));
                    of_rounds.push(speed);
                }
                Err(why) => {
                    ground.say(&format!("round {round}: {peer} is not measured: {why}"));
                    *speeds = None;
                }
            }
        }
    }
    let speeds: Vec<Vec<f64>> = speeds.into_iter().map(Option::unwrap_or_default).collect();
    let pipe = median(&pipes);
    table.row("pipe beside the peers, events/s", None, &pipes);
    for ((peer, _), speeds) in PEERS.iter().zip(&speeds) {
        table.row(&format!("{peer}, events/s"), None, speeds);
    }
    for ((peer, times), speeds) in PEERS.iter().zip(&speeds) {
        let ratios: Vec<f64> = speeds.iter().map(|speed| pipe / speed).collect();
        table.row(&format!("pipe over {peer}"), times.map(Goal::AtLeast), &ratios);
    }
    Ok(())
}

/// Installs the dependencies of the peers; without output where they are present.
fn install() -> Result<()> {
    let status = Command::new("scripts/install.sh")
        .arg("bench")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cannot run scripts/install.sh")?;
    anyhow::ensure!(status.success(), "scripts/install.sh bench: {status}");
    Ok(())
}

/// Returns events per second of the pipe, over the whole stream.
async fn pipe_once(ground: &Ground) -> Result<f64> {
    const NAME: &str = "pipe";
    let (filled, sizes) = (&ground.filled, &ground.sizes);
    let url = database::copy(&ground.postgres, TEMPLATE, NAME).await?;
    let drained = pipe::drain(&url, &ground.nats.url(), sizes.batch, filled.events).await?;
    database::is_exact(&url, sizes.playlists, &filled.counts()).await?;
    database::drop_it(&ground.postgres, NAME).await?;
    Ok(filled.events as f64 / drained.took.as_secs_f64())
}
