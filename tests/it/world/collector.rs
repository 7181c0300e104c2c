//! A collector of OpenTelemetry: takes OTLP over HTTP and decodes it.
//!
//! Owns the spans that arrived. Must never reject a request: what it cannot decode fails the test.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

/// A span, and the process that exported it.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// The name of the service.
    pub(crate) service: String,
    /// The request's header `authorization`.
    pub(crate) authorization: Option<String>,
    pub(crate) span: Span,
}

impl Exported {
    pub(crate) fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// The text of an attribute; of a list, its first one.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.span.attributes, name)
    }
}

/// A running collector; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    exported: Arc<Mutex<Vec<Exported>>>,
    _running: DropGuard,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let exported = Arc::<Mutex<Vec<Exported>>>::default();
        let taken = Arc::clone(&exported);
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
            taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(spans(request, &headers));
        };
        let routes = Router::new().route("/v1/traces", post(take));
        let running = tokio_util::sync::CancellationToken::new();
        let stopped = running.clone().cancelled_owned();
        let served = axum::serve(listener, routes).with_graceful_shutdown(stopped);
        tokio_util::task::TaskTracker::new().spawn(served.into_future());
        Self {
            address,
            exported,
            _running: running.drop_guard(),
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The spans that arrived so far.
    pub(crate) fn exported(&self) -> Vec<Exported> {
        self.exported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The only span with this name.
    pub(crate) fn one(&self, name: &str) -> Exported {
        let mut named = self.exported();
        named.retain(|exported| exported.span.name == name);
        assert_eq!(named.len(), 1, "{name}: {:#?}", self.exported());
        named.remove(0)
    }
}

fn spans(request: ExportTraceServiceRequest, headers: &HeaderMap) -> Vec<Exported> {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let of_resource = resource.resource.unwrap_or_default().attributes;
        let service = attribute(&of_resource, "service.name").expect("a name");
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| Exported {
            service: service.clone(),
            authorization: authorization.map(str::to_owned),
            span,
        }));
    }
    all
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    text(found.value.as_ref()?)
}

fn text(value: &AnyValue) -> Option<String> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::ArrayValue(array) => text(array.values.first()?),
        other => panic!("an attribute of another kind: {other:?}"),
    }
}

fn hex(id: &[u8]) -> String {
    let mut text = String::new();
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
