//! An account that is deleted and made again between a read and its write, which writes the whole array of roles.

use serde_json::json;

use crate::world::events::{plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::persons::told;
use crate::world::proxy::Proxy;
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, Worker, World};

/// A role of a second rule, for the plays of all playlists.
const SECOND: &str = "curator";

/// A worker whose writes can be held on their way to the tenant. Ann has a role of another client, and plays for the first role
/// alone once they are published.
struct Scene {
    world: World,
    worker: Worker,
    way: Proxy,
    _rules: RulesFile,
}

impl Scene {
    async fn start() -> Self {
        let second = rule(SECOND, 170, 170, "of = \"all_playlists\"");
        let rules = RulesFile::new(&format!("{}{second}", rule(ROLE, 100, 50, "")));
        let builder = World::builder().workers(0).env("AUTH0_TIMEOUT_S", 2);
        let world = builder.env("RULES_FILE", rules.path().display()).start().await;
        world.seed_user(ANN, &["mentor"]);
        let (worker, way) = world.start_worker_by_proxy(&[]).await;
        world.connect_log_stream().await;
        Self {
            world,
            worker,
            way,
            _rules: rules,
        }
    }

    /// Publishes the plays for the first role, and returns while its write is held.
    async fn held(&self) {
        self.way.hold(b"PATCH /");
        self.world.earn(ANN, "pl_1").await;
        self.world
            .eventually("a write is held", async || self.way.held() == 1)
            .await;
    }

    fn made_again(&self, roles: &[&str]) {
        assert!(self.world.tenant.delete_user(ANN));
        let profile = json!({"app_metadata": {"roles": roles}});
        self.world.tenant.create_user(ANN, profile).expect("a sign-up");
    }

    /// The worker dies before the response to its write.
    async fn dies(&self) {
        let before = self.world.tenant.history(ANN).len();
        self.worker.sigstop();
        self.way.let_go();
        self.world
            .eventually("its write arrives", async || {
                self.world.tenant.history(ANN).len() > before
            })
            .await;
        self.worker.kill9().await;
    }

    async fn next_worker(&self) {
        let ended =
            "UPDATE work_queue SET lease_until = now() - interval '1 second' WHERE lease_until > now()";
        self.world.start_worker().await;
        self.world.connect_log_stream().await;
        self.world.run_sql(ended).await;
        self.world.quiet().await;
    }

    async fn announced(&self) -> Vec<(String, Option<String>)> {
        self.world.all_told().await;
        self.world.told_by_user().await.remove(ANN).unwrap_or_default()
    }
}

/// The roles that were removed, each with the outcome and the reason.
const REMOVED: &str =
    "SELECT role, outcome, reason FROM role_changes WHERE change = 'removed' ORDER BY decided_at";

#[tokio::test]
async fn roles_of_a_deleted_account_leave_the_new_one_at_once() {
    let scene = Scene::start().await;
    let world = &scene.world;
    scene.held().await;
    scene.made_again(&[]);
    scene.way.let_go();
    world.rests_with(ANN, &[ROLE]).await;
    let removed = json!({"role": "mentor", "outcome": "written", "reason": "user_deleted"});
    assert_eq!(world.rows(REMOVED).await, [removed]);
    assert_eq!(scene.announced().await, [told("granted", None)]);
    // No read lies between the two writes, and what another client gives later stays.
    assert_eq!(world.patches(), 2);
    let given = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world.tenant.dashboard_edit(ANN, given).expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_role_that_only_the_deleted_account_kept_leaves_too() {
    let scene = Scene::start().await;
    let world = &scene.world;
    world.earn(ANN, "pl_1").await;
    world.rests_with(ANN, &["mentor", ROLE]).await;
    let fewer = (0..40).map(|n| retraction(&format!("r-{n}"), &format!("pl_1-{n}"), "pl_1"));
    world.publish(&fewer.collect::<Vec<_>>()).await;
    world.quiet().await;
    scene.way.hold(b"PATCH /");
    let more = (0..2).map(|n| format!("pl_more_{n}"));
    for list in more {
        world.publish(&[saved(&format!("s-{list}"), &list, ANN)]).await;
        world.publish(&plays(&list, &list, 0..60)).await;
    }
    world
        .eventually("a write is held", async || scene.way.held() == 1)
        .await;
    scene.made_again(&[]);
    scene.way.let_go();
    world.rests_with(ANN, &[SECOND]).await;
    let announced = scene.announced().await;
    let granted = told("granted", None);
    assert_eq!(
        announced,
        [granted.clone(), told("revoked", Some("user_deleted")), granted]
    );
}

#[tokio::test]
async fn a_worker_that_dies_leaves_no_role_of_a_deleted_account() {
    let scene = Scene::start().await;
    scene.held().await;
    scene.made_again(&[]);
    scene.dies().await;
    assert_eq!(scene.world.roles(ANN), ["mentor", ROLE]);
    scene.next_worker().await;
    scene.world.rests_with(ANN, &[ROLE]).await;
    let removed = json!({"role": "mentor", "outcome": "written", "reason": "user_deleted"});
    assert_eq!(scene.world.rows(REMOVED).await, [removed]);
    assert_eq!(scene.announced().await, [told("granted", None)]);
}

/// The write reached the account that was read; another client made it again with what it had.
#[tokio::test]
async fn roles_that_the_new_account_was_made_with_stay() {
    let scene = Scene::start().await;
    scene.held().await;
    scene.dies().await;
    scene.made_again(&["mentor", ROLE]);
    scene.next_worker().await;
    assert_eq!(scene.world.roles(ANN), ["mentor", ROLE]);
    assert_eq!(scene.world.rows(REMOVED).await, Vec::<serde_json::Value>::new());
}
