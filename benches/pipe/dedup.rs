//! The cost of the dedup of event ids: the same stream without and with a dedup window, in turns.
//!
//! Owns the smallest share of the throughput that must remain, and the disk space of an id.

use std::path::Path;

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use crate::ground::Ground;
use crate::program::{PROGRAM, TEMPLATE};
use crate::table::{Goal, Table};
use crate::{database, pipe};

const NAME: &str = "dedup";

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let (postgres, filled, sizes) = (&ground.postgres, &ground.filled, &ground.sizes);
    let (mut without, mut with, mut share, mut disk) = (vec![], vec![], vec![], vec![]);
    let counts = filled.counts();
    let events = filled.events as f64;
    for round in 1..=sizes.rounds {
        let mut speeds = [0.0; 2];
        for (speed, dedup_window) in speeds.iter_mut().zip(["off", "24h"]) {
            let url = database::copy(postgres, TEMPLATE, NAME).await?;
            let drained = pipe::drain_with(
                Path::new(PROGRAM),
                &url,
                &ground.nats.url(),
                sizes.batch,
                filled.events,
                dedup_window,
            )
            .await?;
            *speed = events / drained.took.as_secs_f64();
            database::is_exact(&url, sizes.playlists, &counts).await?;
            if dedup_window != "off" {
                disk.push(bytes(&url).await? as f64 / events);
            }
            database::drop_it(postgres, NAME).await?;
        }
        let [off, on] = speeds;
        ground.say(&format!(
            "round {round}: without ids {off:.0}/s, with ids {on:.0}/s ({:.2})",
            on / off
        ));
        without.push(off);
        with.push(on);
        share.push(on / off);
    }
    table.row("pipe without a dedup window, events/s", None, &without);
    table.row("pipe with a dedup window, events/s", None, &with);
    table.row(
        "with a dedup window over without",
        Some(Goal::AtLeast(0.5)),
        &share,
    );
    table.row("disk of a remembered id, bytes", None, &disk);
    Ok(())
}

/// Returns the size of all partitions, with their indexes.
async fn bytes(url: &str) -> Result<i64> {
    let mut db = PgConnection::connect(url).await?;
    let sum = "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'event_ids'::regclass";
    let bytes = sqlx::query_scalar(sum).fetch_one(&mut db).await?;
    db.close().await?;
    Ok(bytes)
}
