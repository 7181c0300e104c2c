//! The streams of a story: their limits and their content.
//!
//! Owns edits that an operator makes by hand. Must never publish.

use std::time::Duration;

use super::{APP_EVENTS, World};

impl World {
    /// Sets the window in which the server recognises a repeated id.
    pub(crate) async fn set_duplicate_window(&self, stream: &str, window: Duration) {
        let stream = self.jetstream.get_stream(stream).await.expect("the stream");
        let mut config = stream.cached_info().config.clone();
        config.duplicate_window = window;
        self.jetstream.update_stream(config).await.expect("an edit");
    }

    /// Sequence of the first message of APP_EVENTS, and its size in bytes.
    pub(crate) async fn kept_events(&self) -> (u64, u64) {
        let stream = self.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
        let state = &stream.cached_info().state;
        (state.first_sequence, state.bytes)
    }
}
