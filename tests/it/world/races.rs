//! Another client writes the same roles as the worker: once and on purpose, or over HTTP as any client of the tenant.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault, LogStream};
use rolekeeper_sandbox::traffic::management::Management;
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::{CLIENT, LOG_TOKEN, World};

pub(crate) const OTHER: &str = "crm";
pub(crate) const OTHER_SECRET: &str = "other-secret";
/// Roles that the other client gives and removes.
pub(crate) const THEIRS: [&str; 4] = ["mentor", "beta", "vip", "staff"];

/// Records arrive after all writes.
pub(crate) async fn stream_logs(world: &World) {
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    let delay = Duration::from_millis(700)..=Duration::from_millis(900);
    let stream = LogStream {
        delay,
        ..LogStream::to(url, LOG_TOKEN)
    };
    world.tenant.stream_logs(stream).expect("a runtime");
}

/// The user earns the role, and between our read and our write another client makes the roles `theirs`.
pub(crate) async fn race(world: &World, user: &str, theirs: &[&str]) {
    world.seed_user(user, &["mentor"]);
    let playlist = user.replace("auth0|", "pl_");
    overwritten(
        world,
        user,
        world.earn(user, &playlist),
        [theirs, &["mentor", ROLE]],
    )
    .await;
}

/// Our write after `begun` leaves `ours`, over another client's write of `theirs`.
pub(crate) async fn overwritten(
    world: &World,
    user: &str,
    begun: impl Future<Output = ()>,
    [theirs, ours]: [&[&str]; 2],
) {
    let late = CallMatch::to(Endpoint::PatchUser).client(CLIENT).user(user);
    let delay = Fault::Delay(Duration::from_millis(300));
    world.tenant.fault_once(late, delay);
    begun.await;
    world
        .eventually("our write is in flight", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    let patch = json!({"app_metadata": {"roles": theirs}});
    world
        .tenant
        .edit_by_other_client("crm", user, patch)
        .expect("an edit");
    world
        .eventually("our write overwrites theirs", async || world.roles(user) == ours)
        .await;
}

/// Another client of the Management API.
#[derive(Clone)]
pub(crate) struct Other(Management);

impl Other {
    pub(crate) async fn start(world: &World) -> Self {
        world.tenant.register_client(Client::new(OTHER, OTHER_SECRET));
        let management = Management::connect(&world.tenant, OTHER, OTHER_SECRET).await;
        Self(management.expect("a token"))
    }

    pub(crate) async fn read(&self, user: &str) -> Vec<String> {
        let answer = self.0.user(user, None).await.expect("a response");
        let user: Value = answer.json().await.expect("JSON");
        serde_json::from_value(user["app_metadata"]["roles"].clone()).expect("a list of roles")
    }

    pub(crate) async fn write(&self, user: &str, roles: &[String]) {
        let patch = json!({"app_metadata": {"roles": roles}});
        let answer = self.0.user(user, Some(&patch)).await.expect("a response");
        assert_eq!(answer.status(), 200);
    }

    /// Toggles one role of its own, from the state that it read; returns that role and its new state.
    pub(crate) async fn turn_over(&self, user: &str, rng: &mut StdRng) -> (&'static str, bool) {
        let mut roles = self.read(user).await;
        let role = *THEIRS.choose(rng).expect("some roles");
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..12))).await;
        let given = !roles.iter().any(|one| one == role);
        if given {
            roles.push(role.to_owned());
        } else {
            roles.retain(|one| one != role);
        }
        self.write(user, &roles).await;
        (role, given)
    }
}

/// The number of races with this outcome.
pub(crate) async fn races(world: &World, outcome: &str) -> f64 {
    let series = format!("rolekeeper_races_total{{outcome=\"{outcome}\"}}");
    world.worker().metric(&series).await
}

/// Connects the tenant's log to the worker, with the given `delay`, out of order, and partly duplicated.
pub(crate) async fn shuffled_logs(world: &World, delay: std::ops::RangeInclusive<u64>, seed: u64) {
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    let stream = LogStream {
        delay: Duration::from_millis(*delay.start())..=Duration::from_millis(*delay.end()),
        shuffle: true,
        twice: 0.1,
        seed,
        ..LogStream::to(url, LOG_TOKEN)
    };
    world.tenant.stream_logs(stream).expect("a runtime");
}
