//! Ephemeral consumers: created for one reader or one request, deleted afterwards.
//!
//! Owns their names and settings. Must never leave a consumer that it could delete: servers limit their number.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, ReplayPolicy, pull};
use tracing::debug;
use uuid::Uuid;

use super::{Bus, BusError};

/// Time for which the server keeps a consumer without a request, during a slow transaction or a stopped process; the server's
/// default is 5 s.
const INACTIVE_THRESHOLD: Duration = Duration::from_mins(5);
/// Longest wait for the deletion of a consumer that is no longer read.
const DELETE_WITHIN: Duration = Duration::from_secs(2);

/// A consumer at the server, by its name.
pub(super) struct Consumer {
    stream: String,
    name: String,
}

impl Bus {
    /// Creates a consumer, of the subjects that the filter names or of all; the caller deletes it.
    pub(super) async fn consumer(
        &self,
        stream: &str,
        deliver_policy: DeliverPolicy,
        filter: Option<&str>,
    ) -> Result<(Consumer, PullConsumer), BusError> {
        // The name is ours, so that a consumer whose creation was confirmed too late can be deleted too.
        let consumer = Consumer {
            stream: stream.to_owned(),
            name: format!("rolekeeper-{}", Uuid::now_v7()),
        };
        let config = pull::Config {
            name: Some(consumer.name.clone()),
            description: Some("rolekeeper fold".to_owned()),
            deliver_policy,
            filter_subject: filter.unwrap_or_default().to_owned(),
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            inactive_threshold: INACTIVE_THRESHOLD,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let mut subject = format!("{}.CONSUMER.CREATE.{stream}.{}", self.api_prefix, consumer.name);
        if let Some(filter) = filter {
            subject = format!("{subject}.{filter}");
        }
        let made = self.jetstream.create_consumer_on_stream(config, stream);
        let made: Result<PullConsumer, _> = self.answered(&subject, self.refusals.now(), made).await;
        let why = match made {
            Ok(made) => {
                // Old servers accept unknown settings and ignore them; without these two, reading is not safe.
                let config = &made.cached_info().config;
                if config.ack_policy == AckPolicy::None && config.inactive_threshold == INACTIVE_THRESHOLD {
                    return Ok((consumer, made));
                }
                said("create consumer", &"the server ignored some of its settings")
            }
            Err(error) => said("create consumer", &error),
        };
        self.delete(consumer).await;
        Err(why)
    }

    /// Deletes a consumer. If that fails, the server deletes it some minutes later.
    pub(super) async fn delete(&self, consumer: Consumer) {
        let Consumer { stream, name } = consumer;
        let subject = format!("{}.CONSUMER.DELETE.{stream}.{name}", self.api_prefix);
        let deleted = self.jetstream.delete_consumer_from_stream(&name, &stream);
        let deleted = self.answered(&subject, self.refusals.now(), deleted);
        match tokio::time::timeout(DELETE_WITHIN, deleted).await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => debug!(stream, consumer = name, "the consumer was not deleted: {why}"),
            Err(_) => debug!(
                stream,
                consumer = name,
                "the consumer was not deleted: no response"
            ),
        }
    }
}

/// Returns an error of JetStream, with the name of the request.
pub(super) fn said(doing: &'static str, error: &dyn std::fmt::Display) -> BusError {
    BusError::JetStream {
        doing,
        why: error.to_string(),
    }
}
