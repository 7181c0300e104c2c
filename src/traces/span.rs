//! The spans, and their attributes.
//!
//! Owns which spans there are: each belongs to a trace that a publisher began and sampled. Must never have an attribute that names a
//! user: traces are kept by other systems, which no erasure reaches.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use time::OffsetDateTime;

use super::attempt_of::AttemptOf;
use super::{context, export};

/// A span, or none: outside of a trace, and where the sampler wants none. It ends when it is dropped.
#[derive(Debug)]
pub struct Span(Option<Context>);

/// Returns the span of the fold of an event that carried a user across a threshold; `since` is the begin of the transaction. Until
/// [`Span::succeeded`] the transaction counts as failed.
#[must_use]
pub fn fold(parent: &str, event: &str, since: OffsetDateTime) -> Span {
    let attributes = vec![
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.name", "fold"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.destination.name", "APP_EVENTS"),
        KeyValue::new("messaging.message.id", event.to_owned()),
    ];
    let parent = context::from_text(parent);
    let span = begin(
        &parent,
        "fold APP_EVENTS",
        SpanKind::Consumer,
        attributes,
        Some(since),
    );
    if let Some(context) = &span.0 {
        context.span().set_status(Status::error("not_committed"));
    }
    span
}

/// Returns the span of an attempt at one user, from its claim until its result is recorded.
#[must_use]
pub fn attempt(attempt: AttemptOf<'_>) -> Span {
    let Some(parent) = attempt.parent else {
        return Span(None);
    };
    let event = attempt.event.unwrap_or_default().to_owned();
    let attributes = vec![
        KeyValue::new("messaging.message.id", event),
        KeyValue::new("rolekeeper.attempt", i64::from(attempt.failed_before) + 1),
        KeyValue::new("rolekeeper.queued_ms", attempt.queued_ms),
    ];
    let parent = context::from_text(parent);
    begin(&parent, "attempt", SpanKind::Internal, attributes, None)
}

/// Returns the span of a decision, inside [`Span::around`] of an attempt.
#[must_use]
pub fn decision() -> Span {
    inside(|| ("decide".to_owned(), SpanKind::Internal, vec![]))
}

/// Returns the span of a request to the Management API, inside [`Span::around`] of an attempt. `path` is the part behind `api`; ids
/// in it are left out.
#[must_use]
pub fn call(method: &str, api: &str, path: &str) -> Span {
    inside(|| {
        let mut parts = path.split('?').next().unwrap_or_default().split('/');
        let mut template = format!("/api/v2/{}", parts.next().unwrap_or_default());
        template.extend(parts.next().map(|_| "/{id}"));
        let server = api.split('/').nth(2).unwrap_or_default();
        let name = format!("{method} {template}");
        let attributes = vec![
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("url.template", template),
            KeyValue::new("server.address", server.to_owned()),
        ];
        (name, SpanKind::Client, attributes)
    })
}

/// Returns a span inside the current one; none if there is none.
fn inside(describe: impl FnOnce() -> (String, SpanKind, Vec<KeyValue>)) -> Span {
    let current = Context::current();
    if !current.has_active_span() {
        return Span(None);
    }
    let (name, kind, attributes) = describe();
    begin(&current, name, kind, attributes, None)
}

fn begin(
    parent: &Context,
    name: impl Into<Cow<'static, str>>,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    since: Option<OffsetDateTime>,
) -> Span {
    // A context that is not valid would begin a trace of its own.
    let Some(tracer) = export::tracer().filter(|_| parent.span().span_context().is_sampled()) else {
        return Span(None);
    };
    let mut builder = tracer
        .span_builder(name)
        .with_kind(kind)
        .with_attributes(attributes);
    builder.start_time = since.map(SystemTime::from);
    let span = parent.with_span(tracer.build_with_context(builder, parent));
    if !span.span().span_context().is_sampled() {
        return Span(None);
    }
    export::begun();
    Span(Some(span))
}

impl Span {
    /// Returns its context as text, for a span in another transaction or process.
    #[must_use]
    pub fn context(&self) -> Option<String> {
        context::text(self.0.as_ref()?)
    }

    /// Returns the id of its trace, for log lines.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        let context = self.0.as_ref()?;
        Some(context.span().span_context().trace_id().to_string())
    }

    /// Returns the headers that pass the trace on to another system.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().flat_map(context::headers)
    }

    /// Runs a future with this span as the current one.
    pub async fn around<F: Future>(&self, future: F) -> F::Output {
        let context = self.0.clone().unwrap_or_default();
        future.with_context(context).await
    }

    /// Notes the decided changes, such as `granted playlist_editor`.
    pub fn changes(&self, changes: impl Iterator<Item = String>) {
        if let Some(context) = &self.0 {
            let changes = changes.map(StringValue::from).collect();
            let changes = Value::Array(Array::String(changes));
            context
                .span()
                .set_attribute(KeyValue::new("rolekeeper.changes", changes));
        }
    }

    /// Notes the status of a response.
    pub fn status(&self, status: u16) {
        if let Some(context) = &self.0 {
            let code = KeyValue::new("http.response.status_code", i64::from(status));
            context.span().set_attribute(code);
            if status >= 400 {
                self.failed(&status.to_string());
            }
        }
    }

    /// Notes a failure by its class, which names no user.
    pub fn failed(&self, class: &str) {
        if let Some(context) = &self.0 {
            context
                .span()
                .set_attribute(KeyValue::new("error.type", class.to_owned()));
            context.span().set_status(Status::error(class.to_owned()));
        }
    }

    /// Notes that the transaction of [`fold`] was committed.
    pub fn succeeded(&self) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::Ok);
        }
    }

    /// Ends it.
    pub fn end(self) {
        drop(self);
    }
}
