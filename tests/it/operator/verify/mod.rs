//! `rolekeeper verify` and `rolekeeper rebuild`: counts against the stream, and stored roles against Auth0.

use serde_json::Value;

use crate::world::losses::CURSOR;
use crate::world::{APP_EVENTS, Builder, World, text};

mod bases;
mod counts;
mod history;
mod killed;
mod locks;
mod others;
mod rebuild;
mod roles;

/// A world whose worker looks for due bases every 20 ms.
fn world() -> Builder {
    World::builder().env("TRIM_FLOOR", "300ms")
}

/// The result as JSON, and the exit code.
async fn verified(world: &World, more: &[&str]) -> (Value, Option<i32>) {
    let arguments = [&["verify", "--json"][..], more].concat();
    let output = world.command(&arguments).await;
    let result = serde_json::from_slice(&output.stdout);
    let result = result.unwrap_or_else(|_| panic!("{}", text(&output)));
    (result, output.status.code())
}

/// The result of the comparison of counts.
async fn counts(world: &World) -> Value {
    verified(world, &["--counts"]).await.0["counts"].take()
}

/// The members of a list, as texts.
fn texts(list: &Value, member: &str) -> Vec<String> {
    let all = list.as_array().expect("a list").iter();
    all.map(|one| one[member].as_str().expect("a text").to_owned())
        .collect()
}

impl World {
    /// Waits until each partition has a base.
    async fn based(&self) {
        let all = "SELECT count(*) FROM playlist_bases b JOIN stream_cursors c
            ON c.stream = 'APP_EVENTS' AND (c.created_ns, c.epoch) = (b.created_ns, b.epoch)";
        self.count_is("each partition has a base", all, 64).await;
    }

    /// Makes all bases again, at the cursor.
    async fn based_again(&self) {
        self.run_sql("DELETE FROM playlist_bases").await;
        self.based().await;
    }

    /// Waits until the fold is at the end of what was published.
    async fn folded(&self) {
        let stream = self.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
        let last = stream.cached_info().state.last_sequence.cast_signed();
        self.count_is("all is folded", CURSOR, last).await;
    }
}
