//! The location of JetStream, the subjects of its responses, and missing permissions there.
//!
//! F60: PgBouncer in transaction mode, a NATS user with least permissions, a JetStream domain, a private CA everywhere: works as
//! documented, or is refused at the start with a sentence.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use rolekeeper_sandbox::servers::{Nats, NatsOptions, free_port};

use crate::world::nats_options::{migrate, server, users, works};
use crate::world::{LOG_TOKEN, World};

/// A server with JetStream in a domain.
async fn in_domain(domain: &str, more: String) -> Nats {
    let options = NatsOptions {
        domain: Some(domain.to_owned()),
        more,
        ..NatsOptions::default()
    };
    Nats::start_with(options).await.expect("nats-server starts")
}

async fn has_streams(nats: &Nats) -> bool {
    let client = async_nats::connect(nats.url())
        .await
        .expect("nats-server responds");
    jetstream::new(client).get_stream("APP_EVENTS").await.is_ok()
}

#[tokio::test]
async fn f60_the_hubs_streams_are_used_through_a_leaf() {
    let world = World::builder().workers(0).start().await;
    let port = free_port().expect("a port");
    let hub = in_domain("hub", format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}\n")).await;
    let remote = format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}\n");
    let leaf = in_domain("leaf", remote).await;
    let url = leaf.url();
    // A leaf needs some time for its connection to the hub.
    let env = [("NATS_URL", &*url), ("NATS_JETSTREAM_DOMAIN", "hub")];
    world
        .eventually("the leaf is connected", async || migrate(&world, &env).await.0)
        .await;
    works(&world, &env).await;
    assert!(has_streams(&hub).await && !has_streams(&leaf).await);
    let (migrated, said) = migrate(&world, &[env[0], ("NATS_JETSTREAM_API_PREFIX", "$JS.hub.API")]).await;
    assert!(migrated, "{said}");
    let (migrated, said) = migrate(&world, &[env[0], ("NATS_JETSTREAM_DOMAIN", "nowhere")]).await;
    let told =
        said.contains("no JetStream responds at $JS.nowhere.API") && said.contains("NATS_JETSTREAM_DOMAIN");
    assert!(!migrated && told, "{said}");
}

#[tokio::test]
async fn m16_an_inbox_prefix_is_all_that_is_subscribed_to() {
    let world = World::builder().workers(0).start().await;
    let nats = server(users("subscribe: { allow: [\"rk.inbox.>\"] }")).await;
    let url = nats.url();
    let login = [
        ("NATS_URL", &*url),
        ("NATS_USER", "some"),
        ("NATS_PASSWORD", "pw"),
    ];
    let began = Instant::now();
    let (migrated, said) = migrate(&world, &login).await;
    let told = said.contains("subscribe to \"_INBOX.>\"") && said.contains("NATS_INBOX_PREFIX");
    assert!(!migrated && told, "{said}");
    assert!(began.elapsed() < Duration::from_secs(4), "it waits for a timeout");
    works(
        &world,
        &[&login[..], &[("NATS_INBOX_PREFIX", "rk.inbox")]].concat(),
    )
    .await;
}

#[tokio::test]
async fn f60_commands_name_the_permission_that_is_missing() {
    let world = World::builder().workers(0).start().await;
    for (denied, named) in [
        (
            "$JS.API.STREAM.INFO.>",
            "publish to \"$JS.API.STREAM.INFO.APP_EVENTS\"",
        ),
        (
            "$JS.API.STREAM.CREATE.>",
            "publish to \"$JS.API.STREAM.CREATE.APP_EVENTS\"",
        ),
    ] {
        let nats = server(users(&format!("publish: {{ deny: [\"{denied}\"] }}"))).await;
        let url = nats.url();
        let env = [
            ("NATS_URL", &*url),
            ("NATS_USER", "some"),
            ("NATS_PASSWORD", "pw"),
        ];
        let (migrated, said) = migrate(&world, &env).await;
        assert!(!migrated && said.contains(named), "{said}");
    }
}

/// Configuration lines of a user without permission to publish to these subjects.
fn denying(subjects: &[&str]) -> NatsOptions {
    let list = subjects.iter().map(|subject| format!("\"{subject}\""));
    let list = list.collect::<Vec<_>>().join(", ");
    NatsOptions {
        more: users(&format!("publish: {{ deny: [{list}] }}")),
        ..NatsOptions::default()
    }
}

#[tokio::test]
async fn f60_a_worker_names_the_permission_and_goes_on_with_it() {
    let world = World::builder().workers(0).start().await;
    let (create, pull) = (
        "$JS.API.CONSUMER.CREATE.AUTH0_LOGS.>",
        "$JS.API.CONSUMER.MSG.NEXT.APP_EVENTS.>",
    );
    let mut nats = Nats::start_with(denying(&[create, pull, "auth0.>"]))
        .await
        .expect("nats-server starts");
    let url = nats.url();
    let (migrated, said) = migrate(
        &world,
        &[("NATS_URL", &url), ("NATS_USER", "all"), ("NATS_PASSWORD", "pw")],
    )
    .await;
    assert!(migrated, "{said}");
    let worker =
        world.spawn_worker_with(&[("NATS_URL", &url), ("NATS_USER", "some"), ("NATS_PASSWORD", "pw")]);
    let says = async |path: &str, what: &str| {
        worker
            .get(path)
            .await
            .is_some_and(|(_, text)| text.contains(what))
    };
    let named = "publish to \"$JS.API.CONSUMER.CREATE.AUTH0_LOGS.*\"";
    world
        .eventually("the fold names it", async || {
            says("/readyz/fold_auth0_logs", named).await
        })
        .await;
    let pulled = "publish to \"$JS.API.CONSUMER.MSG.NEXT.APP_EVENTS.*\"";
    world
        .eventually("the other fold names its own", async || {
            says("/readyz/fold_app_events", pulled).await
        })
        .await;
    let record = r#"{"log_id":"l1","data":{"type":"fp","log_id":"l1"}}"#;
    assert_eq!(worker.post_logs(LOG_TOKEN, record).await, Some(503));
    let log = worker.log();
    assert!(
        log.contains(r#"publish to \"auth0."#) && log.contains("\"ERROR\""),
        "{log}"
    );
    nats.reload(&denying(&["unused"])).expect("a signal");
    world
        .eventually("the worker is ready", async || worker.is_ready().await)
        .await;
    world
        .eventually("records are stored", async || {
            worker.post_logs(LOG_TOKEN, record).await == Some(200)
        })
        .await;
}

#[tokio::test]
async fn m16_an_inbox_that_is_granted_later_is_found() {
    let world = World::builder().workers(0).start().await;
    let allowing = |inbox: &str| NatsOptions {
        more: users(&format!("subscribe: {{ allow: [\"{inbox}\"] }}")),
        ..NatsOptions::default()
    };
    let mut nats = Nats::start_with(allowing("x.>"))
        .await
        .expect("nats-server starts");
    let url = nats.url();
    let env = |user| {
        [
            ("NATS_URL", url.as_str()),
            ("NATS_USER", user),
            ("NATS_PASSWORD", "pw"),
        ]
    };
    let (migrated, said) = migrate(&world, &env("all")).await;
    assert!(migrated, "{said}");
    let worker = world.spawn_worker_with(&env("some"));
    world
        .eventually("the worker names the inbox", async || {
            let stages = worker.get("/readyz").await.map(|(_, stages)| stages);
            stages.is_some_and(|stages| stages.contains("subscribe to \"_INBOX.>\""))
        })
        .await;
    nats.reload(&allowing("_INBOX.>")).expect("a signal");
    world
        .eventually("the worker is ready", async || worker.is_ready().await)
        .await;
}
