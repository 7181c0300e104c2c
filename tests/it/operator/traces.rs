//! Traces: from the publisher's header to the calls at Auth0, and what a collector's absence costs.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{Call, CallMatch, Endpoint, Fault};
use tokio::net::TcpListener;

use crate::world::collector::{Collector, Exported};
use crate::world::events::{play, plays, saved};
use crate::world::proxy::Proxy;
use crate::world::{ANN, Builder, World};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISHED: &str = "b7ad6b7169203331";
/// Without delay, for a test that waits for spans.
const AT_ONCE: (&str, u32) = ("OTEL_BSP_SCHEDULE_DELAY", 50);
const BEGUN: &str = "rolekeeper_trace_spans_total";
const EXPORTED: &str = "rolekeeper_trace_spans_exported_total";

fn sampled() -> String {
    format!("traceparent: 00-{TRACE}-{PUBLISHED}-01\r\ntracestate: shop=1\r\n")
}

impl Builder {
    fn traced_to(self, endpoint: &str) -> Self {
        self.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env(AT_ONCE.0, AT_ONCE.1)
    }
}

impl World {
    /// The user earns the role; the hundredth play has these headers.
    async fn earn_traced(&self, user: &str, playlist: &str, headers: &str) {
        self.seed_user(user, &[]);
        self.publish(&[saved(&format!("{playlist}-saved"), playlist, user)])
            .await;
        self.publish(&plays(playlist, playlist, 0..99)).await;
        let last = play(&format!("{playlist}-99"), playlist);
        let headers = format!("Nats-Msg-Id: {}\r\n{headers}", last.id);
        let subject = last.subject.clone();
        self.publish_raw(subject.as_bytes(), headers.as_bytes(), last)
            .await;
    }

    /// `traceparent` of the calls of one endpoint.
    fn traceparents(&self, endpoint: Endpoint) -> Vec<Option<String>> {
        let of_endpoint = |call: &&Call| call.endpoint == endpoint;
        self.tenant.with_calls(|calls| {
            let calls = calls.iter().filter(of_endpoint);
            calls.map(|call| call.traceparent.clone()).collect()
        })
    }
}

/// The fold and the calls happen in two processes.
#[tokio::test]
async fn one_trace_goes_from_the_publisher_to_auth0() {
    let collector = Collector::start().await;
    let world = World::builder()
        .workers(0)
        .traced_to(&collector.endpoint())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
        .start()
        .await;
    world.start_worker_with(&[("ONLY", "fold")]).await;
    world.start_worker_with(&[("ONLY", "http,reconcile")]).await;
    world.earn_traced(ANN, "pl_1", &sampled()).await;
    let whole = async || collector.exported().len() >= 5;
    world.eventually("the collector has the trace", whole).await;
    world.settled().await;

    let user = "/api/v2/users/{id}";
    let names = [
        "fold APP_EVENTS",
        "attempt",
        &format!("GET {user}"),
        "decide",
        &format!("PATCH {user}"),
    ];
    let [fold, attempt, read, decision, write] = names.map(|name| collector.one(name));
    let parents = [&fold, &attempt, &read, &decision, &write].map(Exported::parent);
    let expected = [
        PUBLISHED.to_owned(),
        fold.id(),
        attempt.id(),
        attempt.id(),
        attempt.id(),
    ];
    assert_eq!(parents, expected);
    for span in collector.exported() {
        assert_eq!(
            (span.trace().as_str(), span.service.as_str()),
            (TRACE, "rolekeeper")
        );
        assert_eq!(span.span.trace_state, "shop=1");
        assert_eq!(span.authorization.as_deref(), Some("Bearer abc"));
        assert!(!format!("{:?}", span.span).contains("ann"), "{:?}", span.span);
    }
    assert_eq!(fold.attribute("messaging.message.id").as_deref(), Some("pl_1-99"));
    assert_eq!(
        decision.attribute("rolekeeper.changes").as_deref(),
        Some("granted playlist_editor")
    );
    assert_eq!(
        write.attribute("http.response.status_code").as_deref(),
        Some("200")
    );
    let sent = |id: String| vec![Some(format!("00-{TRACE}-{id}-01"))];
    assert_eq!(world.traceparents(Endpoint::ReadUser), sent(read.id()));
    assert_eq!(world.traceparents(Endpoint::PatchUser), sent(write.id()));
    let log = world.worker().log();
    assert!(
        log.contains(&format!("\"trace_id\":\"{TRACE}\"")),
        "no log line names the trace"
    );
}

/// A context that is missing, malformed, endless or not sampled begins no trace, and delays no role.
#[tokio::test]
async fn only_a_sampled_context_is_followed() {
    let collector = Collector::start().await;
    let world = World::builder().traced_to(&collector.endpoint()).start().await;
    let long = format!("traceparent: 00-{}\r\n", "a".repeat(10_000));
    let unusable = [
        "",
        "traceparent:\r\n",
        "traceparent: \u{7f}\u{e9}\r\n",
        &long,
        &sampled().replace("-01\r\n", "-00\r\n"),
    ];
    for (n, headers) in unusable.into_iter().enumerate() {
        world
            .earn_traced(&format!("auth0|u{n}"), &format!("pl_{n}"), headers)
            .await;
    }
    let large_state = sampled().replace("shop=1", &format!("shop={}", "1".repeat(10_000)));
    world.earn_traced(ANN, "pl_ann", &large_state).await;
    world.settled().await;
    let whole = async || collector.exported().len() >= 5;
    world.eventually("the collector has the one trace", whole).await;
    assert!(
        collector
            .exported()
            .iter()
            .all(|span| span.span.trace_state.is_empty())
    );
    assert_eq!(
        (
            collector.exported().len(),
            collector.one("attempt").trace().as_str()
        ),
        (5, TRACE)
    );
    assert_eq!(
        world.traceparents(Endpoint::PatchUser).iter().flatten().count(),
        1
    );
    assert_eq!(world.traceparents(Endpoint::PatchUser).len(), 6);
}

/// The failed attempt and the one that succeeds are both in the trace.
#[tokio::test]
async fn a_retried_attempt_stays_in_its_trace() {
    let collector = Collector::start().await;
    let world = World::builder().traced_to(&collector.endpoint()).start().await;
    let refused = CallMatch::to(Endpoint::ReadUser);
    world.tenant.fault_once(refused, Fault::status(502));
    world.earn_traced(ANN, "pl_1", &sampled()).await;
    world.settled().await;
    let attempts = async || {
        let mut all = collector.exported();
        all.retain(|one| one.span.name == "attempt" && one.trace() == TRACE);
        all.sort_by_key(|one| one.span.start_time_unix_nano);
        let numbers = all.iter().filter_map(|one| one.attribute("rolekeeper.attempt"));
        numbers.collect::<Vec<_>>() == ["1", "2"] && all[0].attribute("error.type").is_some()
    };
    world.eventually("both attempts are exported", attempts).await;
}

#[tokio::test]
async fn without_a_collector_no_trace_is_kept_or_sent() {
    let world = World::start().await;
    world.run_sql("CREATE TABLE kept (trace text); CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO kept VALUES (NEW.cause_trace); RETURN NEW; END $$;
        CREATE TRIGGER keep AFTER INSERT OR UPDATE ON work_queue FOR EACH ROW WHEN (NEW.cause_trace IS NOT NULL) EXECUTE FUNCTION keep()").await;
    world.earn_traced(ANN, "pl_1", &sampled()).await;
    world.settled().await;
    assert_eq!(world.number("SELECT count(*) FROM kept").await, Some(0));
    assert_eq!(world.traceparents(Endpoint::PatchUser), [None]);
    assert_eq!(world.worker().count(BEGUN).await, Some(0));
}

/// It accepts connections and never responds: roles come in the usual time, and a stop waits for it 3 s at most.
#[tokio::test]
async fn a_silent_collector_delays_no_role() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    let world = World::builder()
        .traced_to(&endpoint)
        .env("OTEL_BSP_MAX_QUEUE_SIZE", 4)
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 2)
        .start()
        .await;
    for n in 0..5 {
        let (user, playlist) = (format!("auth0|u{n}"), format!("pl_{n}"));
        world.earn_traced(&user, &playlist, &sampled()).await;
        let granted = async || world.roles(&user) == ["playlist_editor"];
        let usual = Duration::from_secs(5);
        world
            .eventually_within(usual, "the role is granted", granted)
            .await;
    }
    world.settled().await;
    let worker = world.worker();
    assert!(worker.count(BEGUN).await >= Some(25));
    assert_eq!(worker.count(EXPORTED).await, Some(0));
    assert!(worker.sigterm(Duration::from_secs(8)).await.success());
    let lost = |line: &String| line.contains("the last spans of traces");
    assert!(worker.messages().iter().any(lost), "{}", worker.log_tail(20));
}

#[tokio::test]
async fn lost_spans_are_reported_until_the_collector_is_back() {
    let collector = Collector::start().await;
    let proxy = Proxy::start(collector.address()).await;
    let endpoint = format!("http://127.0.0.1:{}", proxy.port());
    let world = World::builder().traced_to(&endpoint).start().await;
    let worker = world.worker();
    let logged = async |text: &str| worker.messages().iter().any(|line| line.contains(text));
    proxy.refuse();
    world.earn_traced(ANN, "pl_1", &sampled()).await;
    world
        .eventually("the loss is in the log", async || {
            logged("did not take spans").await
        })
        .await;
    proxy.restore();
    world.earn_traced("auth0|bob", "pl_2", &sampled()).await;
    world
        .eventually("and its end", async || {
            logged("takes spans of traces again").await
        })
        .await;
    assert!(worker.count(BEGUN).await > worker.count(EXPORTED).await);
    assert!(worker.count(EXPORTED).await > Some(0));
}

/// The last spans are exported before the end.
#[tokio::test]
async fn a_stop_exports_the_last_spans() {
    let collector = Collector::start().await;
    let world = World::builder()
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{}/v1/traces", collector.endpoint()),
        )
        .env("OTEL_SERVICE_NAME", "roles")
        .env(AT_ONCE.0, 600_000)
        .start()
        .await;
    world.earn_traced(ANN, "pl_1", &sampled()).await;
    world.settled().await;
    assert_eq!(collector.exported().len(), 0);
    assert!(world.worker().sigterm(Duration::from_secs(8)).await.success());
    assert_eq!(collector.exported().len(), 5);
    assert!(collector.exported().iter().all(|span| span.service == "roles"));
}
