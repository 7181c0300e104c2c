//! The streams of a story: their limits and their content.
//!
//! Owns edits that an operator makes by hand. Must never publish.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, Source};

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

    /// The configuration of APP_EVENTS.
    pub(crate) async fn app_events(&self) -> Config {
        let stream = self.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
        stream.cached_info().config.clone()
    }

    /// Replaces APP_EVENTS by a mirror that is promoted to the stream.
    pub(crate) async fn promote_a_mirror(&self) {
        self.mirror_events().await;
        self.mirror_takes_over().await;
    }

    /// Makes a mirror of APP_EVENTS that has all messages and gets no more.
    pub(crate) async fn mirror_events(&self) {
        let like = self.app_events().await;
        self.mirror(&like, "ELSEWHERE", APP_EVENTS).await;
        let elsewhere = Config {
            name: "ELSEWHERE".to_owned(),
            subjects: vec!["elsewhere".to_owned()],
            subject_transform: None,
            deny_delete: false,
            ..like
        };
        self.jetstream.update_stream(elsewhere).await.expect("promoted");
    }

    /// The mirror takes the place of APP_EVENTS. By a second mirror, since a server has one stream of a name; with two domains one
    /// would suffice.
    pub(crate) async fn mirror_takes_over(&self) {
        let like = self.app_events().await;
        self.jetstream.delete_stream(APP_EVENTS).await.expect("it goes");
        self.mirror(&like, APP_EVENTS, "ELSEWHERE").await;
        self.jetstream.delete_stream("ELSEWHERE").await.expect("it goes");
        self.jetstream.update_stream(&like).await.expect("promoted");
        assert_eq!(self.app_events().await.subject_transform, like.subject_transform);
    }

    /// Creates a mirror of the stream `of`, and waits until it has all messages.
    async fn mirror(&self, like: &Config, name: &str, of: &str) {
        let mut origin = self.jetstream.get_stream(of).await.expect("the origin");
        let end = origin.info().await.expect("its state").state.last_sequence;
        let mirror = Config {
            name: name.to_owned(),
            subjects: vec![],
            subject_transform: None,
            deny_delete: false,
            mirror: Some(Source {
                name: of.to_owned(),
                ..Source::default()
            }),
            ..like.clone()
        };
        let mut made = self.jetstream.create_stream(mirror).await.expect("a mirror");
        let copied = async || {
            made.info()
                .await
                .is_ok_and(|info| info.state.last_sequence == end)
        };
        self.eventually("it has copied all", copied).await;
    }
}
