//! The small work queue of the models answers as Postgres does: both are driven with the same random scripts.
//!
//! Owns the scripts on one user's row. A failure prints the seed, which is that of the script alone.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper::store::work_queue::{self, Order};
use rolekeeper::store::{Cause, Claim, Enqueue, Priority, Store, leases};
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_models::attempt::tables::Tables;
use serde_json::{Value, json};

use crate::world::names::store;
use crate::world::{World, size};

/// Operations of one script.
const STEPS: u32 = 14;
const USER: &str = "auth0|ann";
/// Longer than a test.
const LEASE: Duration = Duration::from_hours(1);
/// The time of every row has come.
const DUE: &str = "UPDATE work_queue SET due_at = now() - interval '1 second', debounce_until = NULL";

/// Both queues, and the claims of attempts that may be frozen by now.
struct Script {
    store: Store,
    fingerprint: String,
    model: Tables,
    /// Each with the generation that a decision under it has seen, by the model's lease.
    claims: HashMap<u8, (Claim, u8)>,
    random: StdRng,
}

impl Script {
    async fn begin(world: &World, fingerprint: &str, seed: u64) -> Self {
        world.run_sql("DELETE FROM work_queue").await;
        Self {
            store: store(world),
            fingerprint: fingerprint.to_owned(),
            model: Tables::default(),
            claims: HashMap::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// One operation on both. Returns what each answered.
    async fn step(&mut self, world: &World) -> (Value, Value) {
        let leases: Vec<u8> = self.claims.keys().copied().collect();
        let lease = leases.choose(&mut self.random).copied();
        match (self.random.random_range(0..8), lease) {
            (0 | 1, _) | (_, None) if self.random.random_bool(0.5) => self.enqueue().await,
            (0..=2, _) | (_, None) => self.claim().await,
            (3, Some(_)) => {
                let ends =
                    "UPDATE work_queue SET lease_until = now() - interval '1 second' WHERE lease IS NOT NULL";
                world.run_sql(ends).await;
                if let Some(lease) = self.model.queue.as_mut().and_then(|row| row.lease.as_mut()) {
                    lease.valid = false;
                }
                (json!(null), json!(null))
            }
            (4 | 5, Some(lease)) => self.decide(lease).await,
            (6, Some(lease)) => self.finish(lease).await,
            (_, Some(lease)) => {
                let mut tx = self.store.begin().await.expect("Postgres responds");
                let claim = &self.claims[&lease].0;
                let again = leases::again(&mut tx, claim, Duration::ZERO, true, None).await;
                again.expect("Postgres responds");
                tx.commit().await.expect("committed");
                self.model.again(lease);
                (json!(null), json!(null))
            }
        }
    }

    async fn enqueue(&mut self) -> (Value, Value) {
        let (event, read) = (self.random.random_bool(0.5), self.random.random_bool(0.5));
        self.model.enqueue(event, read);
        let cause = Cause {
            event: format!("e{}", self.model.events),
            plays: 100,
            stored_at: time::OffsetDateTime::UNIX_EPOCH,
            seq: i64::from(self.model.events),
            trace: None,
        };
        let mut entry = [Enqueue {
            user: USER.to_owned(),
            priority: Priority::Grant,
            force_fetch: read,
            cause: event.then_some(cause),
            flapping: false,
        }];
        let mut tx = self.store.begin().await.expect("Postgres responds");
        let enqueued = work_queue::enqueue(&mut tx, &mut entry).await;
        enqueued.expect("Postgres responds");
        tx.commit().await.expect("committed");
        (json!(null), json!(null))
    }

    async fn claim(&mut self) -> (Value, Value) {
        let mut tx = self.store.begin().await.expect("Postgres responds");
        let order = (true, Order::ByPriority, 1);
        let claims = leases::claim(&mut tx, uuid::Uuid::now_v7(), LEASE, &self.fingerprint, order).await;
        let claim = claims.expect("Postgres responds").pop();
        tx.commit().await.expect("committed");
        let of_model = self.model.claim();
        let answers = (
            json!(of_model.map(|(_, read)| read)),
            json!(claim.as_ref().map(|claim| claim.force_fetch)),
        );
        if let (Some((lease, _)), Some(claim)) = (of_model, claim) {
            let generation = self.model.queue.map_or(0, |row| row.generation);
            self.claims.insert(lease, (claim, generation));
        }
        answers
    }

    /// The check of the lease before a decision.
    async fn decide(&mut self, lease: u8) -> (Value, Value) {
        let mut tx = self.store.begin().await.expect("Postgres responds");
        let claim = self.claims.get_mut(&lease).expect("a claim");
        let ours = leases::still_ours(&mut tx, &claim.0).await;
        let ours = ours.expect("Postgres responds");
        let of_model = self.model.still_ours(lease).copied();
        if let (Some(row), Some(ours)) = (of_model, &ours) {
            claim.1 = row.generation;
            claim.0.generation = ours.generation;
        }
        (
            json!(of_model.map(|row| row.read)),
            json!(ours.map(|ours| ours.read_again)),
        )
    }

    async fn finish(&mut self, lease: u8) -> (Value, Value) {
        let holds = self.random.random_bool(0.3);
        let (claim, generation) = &self.claims[&lease];
        let mut tx = self.store.begin().await.expect("Postgres responds");
        let by = HeldBy::Brake(RoleChange::Revoked);
        let done = if holds {
            leases::hold(&mut tx, claim, claim.generation, by, None).await
        } else {
            leases::finish(&mut tx, claim, claim.generation, None).await
        };
        done.expect("Postgres responds");
        tx.commit().await.expect("committed");
        self.model.finish(lease, *generation, holds.then_some(by), None);
        (json!(null), json!(null))
    }

    /// The row of both, without the times.
    async fn compare(&self, world: &World, seed: u64) {
        let rows = "SELECT force_fetch AS read, lease IS NOT NULL AS leased, coalesce(lease_until > now(), false) AS valid,
                        held_by IS NOT NULL AS held FROM work_queue";
        let row = self.model.queue.map(|row| {
            let lease = row.lease;
            json!({"read": row.read, "leased": lease.is_some(), "valid": lease.is_some_and(|lease| lease.valid),
                "held": row.held.is_some()})
        });
        assert_eq!(world.rows(rows).await, Vec::from_iter(row), "seed {seed}");
    }
}

#[tokio::test]
async fn the_models_queue_answers_as_postgres_does() {
    let world = World::builder().workers(0).start().await;
    let rules = rolekeeper_domain::rule::Versioned {
        version: 1,
        rules: rolekeeper_domain::rule::Rules::default(),
    };
    let force = rolekeeper::store::OfferedBy::Command { force: true };
    store(&world)
        .offer_rules(&rules, force, None)
        .await
        .expect("in force");
    let fingerprint = rules.rules.fingerprint();
    let mut claimed = 0;
    for _ in 0..size(500, 2_000) {
        let seed: u64 = rand::random();
        let mut script = Script::begin(&world, &fingerprint, seed).await;
        for step in 0..STEPS {
            world.run_sql(DUE).await;
            let (of_model, of_postgres) = script.step(&world).await;
            assert_eq!(
                of_model, of_postgres,
                "seed {seed}, step {step}: {:?}",
                script.model
            );
            script.compare(&world, seed).await;
        }
        claimed += script.claims.len();
    }
    println!("{claimed} claims");
    assert!(claimed > 100, "{claimed}");
}
