//! The log stream: posts the tenant's records to a webhook.
//!
//! Owns bodies and attempts. Delivery is at least once: a batch is tried up to `attempts` times, then it is lost and
//! noted as a health error. Auth0 does not document these, so they are our choices: any 2xx is success, the time between
//! attempts, the timeout, the size of a batch.

use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};

use super::options::{Format, LogStream};
use super::outbox::{Next, Pending};
use super::shared::Shared;

/// Delivers records without end.
pub(super) async fn run(shared: Arc<Shared>, generation: u64, stream: LogStream, client: reqwest::Client) {
    loop {
        let next = shared.lock().outbox.next(generation, Instant::now());
        match next {
            Next::Post(batch) => {
                let error = deliver(&client, &stream, &batch).await.err();
                let error = error.map(|(status, message)| (crate::now(), status, message));
                shared.lock().outbox.settle(generation, error);
            }
            Next::WaitUntil(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = shared.logged.notified() => {}
            },
            Next::Idle => shared.logged.notified().await,
        }
    }
}

/// Delivers one batch; the error is the error of the last attempt.
async fn deliver(
    client: &reqwest::Client,
    stream: &LogStream,
    batch: &[Pending],
) -> Result<(), (Option<u16>, String)> {
    let body = body(stream.format, batch);
    let mut failure = (None, "no attempt was allowed".to_owned());
    for attempt in 0..stream.attempts {
        if attempt > 0 {
            sleep(stream.between_attempts).await;
        }
        let request = client
            .post(&stream.url)
            .timeout(stream.timeout)
            .header("authorization", &stream.authorization)
            .header("content-type", "application/json")
            .body(body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => failure = (Some(answer.status().as_u16()), answer.status().to_string()),
            Err(error) => failure = (None, error.to_string()),
        }
    }
    Err(failure)
}

fn body(format: Format, batch: &[Pending]) -> String {
    let records: Vec<&str> = batch.iter().map(|record| record.json.as_str()).collect();
    match format {
        Format::JsonLines => records.join("\n"),
        Format::JsonArray => format!("[{}]", records.join(",")),
        Format::JsonObject => format!("{{\"logs\":[{}]}}", records.join(",")),
    }
}
