//! `/metrics`, `/healthz` and `/readyz`, on a listener that is not public.
//!
//! Owns their meaning: a process is healthy when it responds, and ready when its stages work or stand by. Must never report
//! the process as unhealthy because Postgres is unavailable.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::flow::accept::Accept;
use crate::lifecycle::Readiness;
use crate::metrics::{Adoption, Braked, Label as _, Metrics, NameState, PinState, QueueState, Stream};
use crate::store::{Gauges, Store};
use crate::telemetry;
use crate::traces;

/// Longest time a scrape waits for Postgres; Prometheus itself gives up after 10 s.
const GAUGES_TIMEOUT: Duration = Duration::from_secs(3);

/// Dependencies of the ops listener.
#[derive(Clone, Debug)]
pub struct Ops {
    /// All metrics of the process.
    pub metrics: Arc<Metrics>,
    /// State of the stages of this worker.
    pub readiness: Readiness,
    /// Source of the gauges that are computed at each scrape.
    pub store: Store,
    /// Source of the state of the connection to NATS.
    pub accept: Accept,
    /// Names of the streams, as labels.
    pub streams: &'static [&'static str],
}

/// Returns the routes of the ops listener.
pub fn routes(ops: Ops) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/readyz/{stage}", get(stage_ready))
        .with_state(ops)
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    let gauges = tokio::time::timeout(GAUGES_TIMEOUT, ops.store.gauges()).await;
    match gauges {
        Ok(Ok(gauges)) => ops.show(&gauges),
        _ => ops.metrics.database_up.set(0),
    }
    let panics = &ops.metrics.panics;
    panics.inc_by(telemetry::panics().saturating_sub(panics.get()));
    let spans = traces::counts();
    for (counter, now) in [
        (&ops.metrics.spans, spans.0),
        (&ops.metrics.spans_exported, spans.1),
    ] {
        counter.inc_by(now.saturating_sub(counter.get()));
    }
    ops.metrics.bus_up.set(i64::from(ops.accept.is_connected()));
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        ops.metrics.render(),
    )
}

impl Ops {
    fn show(&self, gauges: &Gauges) {
        let metrics = &self.metrics;
        metrics.database_up.set(1);
        for (state, count) in [
            (QueueState::Due, gauges.queue.due),
            (QueueState::Waiting, gauges.queue.waiting),
            (QueueState::Leased, gauges.queue.leased),
            (QueueState::Parked, gauges.queue.parked),
            (QueueState::Held, gauges.queue.held),
        ] {
            metrics.work_queue.of(state).set(count);
        }
        let drain = &gauges.drain;
        let remaining = drain.remaining().map(|remaining| remaining.as_secs_f64());
        let none = if drain.waiting > 0 { -1.0 } else { 0.0 };
        metrics.reconcile.drain_users.set(drain.waiting);
        metrics.reconcile.drain_per_minute.set(drain.ended_per_min);
        metrics.reconcile.drain_remaining.set(remaining.unwrap_or(none));
        for (state, count) in [
            (NameState::Waiting, gauges.names.waiting),
            (NameState::Refused, gauges.names.refused),
        ] {
            metrics.display_names_open.of(state).set(count);
        }
        metrics.oldest_due.set(gauges.queue.oldest);
        metrics.holders.of(Adoption::Adopted).set(gauges.holders.adopted);
        metrics
            .holders
            .of(Adoption::Unadopted)
            .set(gauges.holders.unadopted);
        metrics.pins.of(PinState::On).set(gauges.pins.on);
        metrics.pins.of(PinState::Off).set(gauges.pins.off);
        metrics.reconcile.linked.set(gauges.holders.linked);
        for change in Braked::at_start(&[]) {
            let engaged = gauges.brakes.iter().any(|braked| braked == change.text());
            metrics.brake_engaged.of(change).set(i64::from(engaged));
        }
        metrics.paused.set(i64::from(gauges.paused));
        metrics.unknown_write.set(i64::from(gauges.unknown_write));
        if let Some(walked) = &gauges.walked {
            metrics.rules.walk_open.set(i64::from(walked.changed));
            let requested_at = walked.requested_at.unix_timestamp() as f64;
            metrics.rules.walk_requested_at.set(requested_at);
            metrics.rules.walk_partitions.set(walked.partitions.0);
        }
        metrics.unannounced.set(gauges.unannounced);
        metrics.fold.oldest_transaction.set(gauges.transactions.oldest);
        metrics.fold.cursor_versions.set(gauges.transactions.versions);
        metrics.tenant_log.delivered_at.set(gauges.log.delivered_at);
        metrics.tenant_log.silent.set(i64::from(gauges.log.silent));
        metrics.tenant_log.read_to.set(gauges.log.read_to);
        for stream in self.streams {
            let stands = gauges.losses.iter().any(|lost| lost == stream);
            metrics.stream_loss.of(Stream(stream)).set(i64::from(stands));
        }
    }
}

/// Responds with all stages of this worker, one line per stage: 200 when each is ready.
async fn ready(State(ops): State<Ops>) -> (StatusCode, String) {
    let stages = ops.readiness.stages();
    let lines = stages.iter().map(|(stage, state)| line(stage, state)).collect();
    (
        status(!stages.is_empty() && stages.values().all(Result::is_ok)),
        lines,
    )
}

/// Responds with one stage, for a load balancer that needs only this stage.
async fn stage_ready(State(ops): State<Ops>, Path(stage): Path<String>) -> (StatusCode, String) {
    match ops.readiness.stages().get_key_value(stage.as_str()) {
        Some((stage, state)) => (status(state.is_ok()), line(stage, state)),
        None => (
            StatusCode::NOT_FOUND,
            "this worker does not run that stage\n".to_owned(),
        ),
    }
}

fn status(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn line(stage: &str, state: &Result<&'static str, String>) -> String {
    match state {
        Ok(how) => format!("{stage}: {how}\n"),
        Err(why) => format!("{stage}: not ready: {why}\n"),
    }
}
