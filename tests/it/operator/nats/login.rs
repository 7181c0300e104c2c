//! Logins of a worker at NATS.

use std::time::Duration;

use nkeys::KeyPair;
use rolekeeper_sandbox::servers::Nats;
use tempfile::TempDir;

use crate::world::World;
use crate::world::nats_jwt::Operator;
use crate::world::nats_options::{file, migrate, server, works};

/// A server for two users: one with a password, one with the nkey whose seed is returned.
async fn two_users() -> (Nats, String) {
    let key = KeyPair::new_user();
    let users = format!(
        "authorization {{ users: [ {{user: u, password: \"p w#1\"}}, {{nkey: {}}} ] }}",
        key.public_key()
    );
    (server(users).await, key.seed().expect("a seed"))
}

#[tokio::test]
async fn m16_a_user_and_a_password_file() {
    let world = World::builder().workers(0).start().await;
    let ((nats, _), folder) = (two_users().await, tempfile::tempdir().expect("a folder"));
    let password = file(&folder, "password", "p w#1\n");
    works(
        &world,
        &[
            ("NATS_URL", &nats.url()),
            ("NATS_USER", "u"),
            ("NATS_PASSWORD_FILE", &password),
        ],
    )
    .await;
}

#[tokio::test]
async fn m16_an_nkey_a_token_and_a_user_in_the_url_log_in() {
    let world = World::builder().workers(0).start().await;
    let ((nats, seed), folder) = (two_users().await, tempfile::tempdir().expect("a folder"));
    let seed = file(&folder, "seed", &format!("# the worker's\n{seed}\n"));
    let tokens = server("authorization { token: \"t/0\" }").await;
    let token = file(&folder, "token", "t/0\n");
    let with_user = nats.url().replace("://", "://u:p%20w%231@");
    let with_token = tokens.url().replace("://", "://t%2F0@");
    let ways: [&[(&str, &str)]; 6] = [
        &[("NATS_URL", &nats.url()), ("NATS_NKEY_SEED_FILE", &seed)],
        &[("NATS_URL", &tokens.url()), ("NATS_TOKEN", "t/0")],
        &[("NATS_URL", &tokens.url()), ("NATS_TOKEN_FILE", &token)],
        &[
            ("NATS_URL", &nats.url()),
            ("NATS_USER", "u"),
            ("NATS_PASSWORD", "p w#1"),
        ],
        &[("NATS_URL", &with_user)],
        &[("NATS_URL", &with_token)],
    ];
    for env in ways {
        let (migrated, said) = migrate(&world, env).await;
        assert!(migrated, "{env:?}: {said}");
    }
}

#[tokio::test]
async fn m16_a_refused_login_is_told_not_a_timeout() {
    let world = World::builder().workers(0).start().await;
    let (nats, _) = two_users().await;
    let url = nats.url();
    let env = [
        ("NATS_URL", &*url),
        ("NATS_USER", "u"),
        ("NATS_PASSWORD", "hunter2"),
    ];
    let (migrated, said) = migrate(&world, &env).await;
    assert!(!migrated && said.contains("authorization violation"), "{said}");
    let worker = world.spawn_worker_with(&env);
    world
        .eventually("the worker says why it is not ready", async || {
            let stages = worker.get("/readyz").await.map(|(_, stages)| stages);
            stages.is_some_and(|stages| stages.contains("authorization violation"))
        })
        .await;
    let log = worker.log();
    assert!(
        log.contains("NATS refuses the connection: authorization violation"),
        "{log}"
    );
    assert!(!log.contains("hunter2") && !said.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn m16_a_login_that_expires_is_read_anew_from_its_file() {
    let world = World::builder().workers(0).start().await;
    let operator = Operator::new();
    let (nats, folder) = (server(operator.config()).await, TempDir::new().expect("a folder"));
    let path = file(&folder, "user.creds", &operator.user(None));
    let url = nats.url();
    let env = [("NATS_URL", &*url), ("NATS_CREDENTIALS_FILE", &*path)];
    let (migrated, said) = migrate(&world, &env).await;
    assert!(migrated, "{said}");
    file(
        &folder,
        "user.creds",
        &operator.user(Some(Duration::from_secs(4))),
    );
    let worker = world.start_worker_with(&env).await;
    world
        .eventually("the worker says that its login expired", async || {
            let stages = worker.get("/readyz").await.map(|(_, stages)| stages);
            stages.is_some_and(|stages| stages.to_lowercase().contains("authorization violation"))
        })
        .await;
    file(&folder, "user.creds", &operator.user(None));
    world
        .eventually("the worker is ready again", async || worker.is_ready().await)
        .await;
}

/// Of two workers whose login is refused, one has the fold's lock and the other one stands by: neither is ready.
#[tokio::test]
async fn no_worker_is_ready_while_nats_refuses_all() {
    let world = World::builder().workers(0).start().await;
    let operator = Operator::new();
    let (nats, folder) = (server(operator.config()).await, TempDir::new().expect("a folder"));
    let path = file(&folder, "user.creds", &operator.user(None));
    let env = [("NATS_URL", &*nats.url()), ("NATS_CREDENTIALS_FILE", &*path)];
    let (migrated, said) = migrate(&world, &env).await;
    assert!(migrated, "{said}");
    let expired = operator.user(Some(Duration::from_secs(4)));
    file(&folder, "user.creds", &expired);
    let workers = [
        world.start_worker_with(&env).await,
        world.start_worker_with(&env).await,
    ];
    let mut looks = 0;
    world
        .eventually("both are not ready, a hundred times in a row", async || {
            for worker in &workers {
                let answer = worker.get("/readyz/fold_app_events").await;
                looks = if answer.is_some_and(|(status, _)| status != 200) {
                    looks + 1
                } else {
                    0
                };
            }
            looks >= 200
        })
        .await;
}
