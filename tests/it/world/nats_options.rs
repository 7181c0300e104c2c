//! Separate servers for stories about options of NATS: each requires a login, TLS or a permission.

use rolekeeper_sandbox::servers::{Nats, NatsOptions};

use crate::world::{World, text};

/// A server with these lines of configuration.
pub(crate) async fn server(more: impl Into<String>) -> Nats {
    let options = NatsOptions {
        more: more.into(),
        ..NatsOptions::default()
    };
    Nats::start_with(options).await.expect("nats-server starts")
}

/// `user` with all permissions but those in `permissions`.
pub(crate) fn users(permissions: &str) -> String {
    format!(
        "authorization {{ users: [ {{user: all, password: pw}}, {{user: some, password: pw, permissions: {{ {permissions} }} }} ] }}"
    )
}

/// The output of `migrate` with these settings, and its success.
pub(crate) async fn migrate(world: &World, env: &[(&str, &str)]) -> (bool, String) {
    let output = world.command_with(&["migrate"], env).await;
    (output.status.success(), text(&output))
}

/// The worker is ready, stores a record and folds it: every kind of call to NATS works.
pub(crate) async fn works(world: &World, env: &[(&str, &str)]) {
    let (migrated, said) = migrate(world, env).await;
    assert!(migrated, "{said}");
    let worker = world.start_worker_with(env).await;
    let record = r#"{"log_id":"l1","data":{"type":"fp","log_id":"l1"}}"#;
    assert_eq!(worker.post_logs(crate::world::LOG_TOKEN, record).await, Some(200));
    let folded = r#"rolekeeper_folded_messages_total{stream="AUTH0_LOGS"}"#;
    world
        .eventually("the record is folded", async || {
            worker.count(folded).await == Some(1)
        })
        .await;
}

/// A file with this content, in a folder that is removed with the test.
pub(crate) fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}
