//! The small store of the models answers as Postgres does: both are driven with the same random scripts.
//!
//! Owns the scripts on the cursor. A failure prints the seed, which is that of the script alone.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper::store::cursor_advance::{self, Move};
use rolekeeper::store::{Channel, Cursor, DeadLetter, OfferedBy, Store, cursors};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::rule::Versioned;
use rolekeeper_domain::stream_loss::{LossKind, StreamLoss};
use rolekeeper_models::cursor::store as model;

use crate::world::names::store;
use crate::world::{APP_EVENTS, World, size};

/// Operations of one script.
const STEPS: u32 = 12;

/// Both stores, and what a worker may have read of them by now.
struct Script {
    store: Store,
    model: model::Store,
    read: Vec<model::Cursor>,
    /// The rules that the model counts from.
    base: i64,
    random: StdRng,
}

fn cursor(of: &model::Cursor) -> Cursor {
    Cursor {
        created_ns: of.created_ns,
        last_seq: of.last_seq.cast_signed(),
        last_stored_ns: of.last_stored_ns,
        epoch: of.epoch,
        newest_stored_ns: of.newest_stored_ns,
        last_hash: None,
        dedup_until_ns: 0,
        duplicate_window_s: 0,
    }
}

fn rules(number: i64) -> Versioned {
    let text = format!(
        "version = {number}\n[[rule]]\nrole = \"editor\"\ngrant_at = {number}\nrevoke_below = {number}\n"
    );
    Versioned::parse(&text).expect("rules")
}

fn act() -> Act {
    Act {
        by: "model".to_owned(),
        command: "accept-stream",
        arguments: serde_json::json!({}),
        why: None,
    }
}

impl Script {
    async fn begin(world: &World, (seed, base): (u64, i64)) -> Self {
        let clear = "DELETE FROM stream_cursors; DELETE FROM stream_losses; DELETE FROM dead_letters";
        world.run_sql(clear).await;
        let script = Self {
            store: store(world),
            model: model::Store::default(),
            read: vec![],
            base,
            random: StdRng::seed_from_u64(seed),
        };
        script.put_rules(1).await;
        script
    }

    async fn put_rules(&self, number: u8) {
        let offered = rules(self.base + i64::from(number));
        let put = self
            .store
            .offer_rules(&offered, OfferedBy::Command { force: true }, None);
        put.await.expect("Postgres responds");
    }

    /// The first cursor of both.
    async fn first(&mut self, at: i64, seq: u64) -> (bool, bool) {
        self.model.first_cursor(at, seq);
        let first = self.store.first_cursor(APP_EVENTS, at, seq.cast_signed());
        first.await.expect("Postgres responds");
        (true, true)
    }

    /// One operation on both. Returns what each answered.
    async fn step(&mut self) -> (bool, bool) {
        let (seq, at) = (
            self.random.random_range(0..6_u64),
            self.random.random_range(1..6_i64),
        );
        let Some(from) = self.read.choose(&mut self.random).copied() else {
            return self.first(at, seq).await;
        };
        match self.random.random_range(0..12) {
            0 => self.first(at, seq).await,
            1 => {
                let number = self.model.rules + 1;
                self.model.put_rules(number);
                self.put_rules(number).await;
                (true, true)
            }
            2 | 3 => {
                let kind = *LossKind::ALL.choose(&mut self.random).expect("kinds");
                let loss = StreamLoss {
                    kind,
                    detail: "model".to_owned(),
                };
                let mut tx = self.store.begin().await.expect("Postgres responds");
                let done = cursors::report_loss(&mut tx, APP_EVENTS, &cursor(&from), &loss).await;
                tx.commit().await.expect("committed");
                (
                    self.model.report_loss(&from, kind),
                    done.expect("Postgres responds"),
                )
            }
            4 | 5 => {
                let set = (at, seq.cast_signed());
                let (from_row, act) = (cursor(&from), act());
                let done = self
                    .store
                    .accept_loss(APP_EVENTS, &from_row, set, (Channel::Streams, &act));
                let done = done.await.expect("Postgres responds");
                (self.model.accept_loss(&from, at, seq), done)
            }
            6 => self.skip(from, (seq, at)).await,
            _ => self.advance(from, (seq, at)).await,
        }
    }

    async fn skip(&mut self, from: model::Cursor, (seq, at): (u64, i64)) -> (bool, bool) {
        let letter = DeadLetter {
            seq: seq.cast_signed(),
            subject: "plays.1",
            reason: Reason::Unparsable,
            detail: "model".to_owned(),
            headers: None,
            payload: b"",
            size: 0,
            stored_ns: at,
        };
        let (row, act) = (cursor(&from), act());
        let done = self
            .store
            .skip(APP_EVENTS, &row, &letter, (Channel::Streams, &act));
        let done = done.await.expect("Postgres responds");
        (self.model.skip(&from, (seq, at), 0), done)
    }

    async fn advance(&mut self, from: model::Cursor, (seq, at): (u64, i64)) -> (bool, bool) {
        let number = self
            .random
            .random_range(self.model.rules.max(2) - 1..=self.model.rules);
        let fingerprint = rules(self.base + i64::from(number)).rules.fingerprint();
        let to = Move {
            stream: APP_EVENTS,
            from: &cursor(&from),
            last_seq: seq.cast_signed(),
            last_stored_ns: at,
            last_hash: None,
            rules: &fingerprint,
        };
        let mut tx = self.store.begin().await.expect("Postgres responds");
        let done = cursor_advance::advance(&mut tx, &to)
            .await
            .expect("Postgres responds");
        tx.commit().await.expect("committed");
        let to = model::Move {
            from,
            last_seq: seq,
            last_stored_ns: at,
            rules: number,
        };
        (self.model.advance(&to), done)
    }

    /// The cursor and the loss of both.
    async fn compare(&mut self, seed: u64) {
        let stored = self.store.cursor(APP_EVENTS).await.expect("Postgres responds");
        assert_eq!(stored, self.model.cursor.as_ref().map(cursor), "seed {seed}");
        let loss = self.store.open_loss(APP_EVENTS).await.expect("Postgres responds");
        let loss = loss.map(|loss| loss.kind);
        assert_eq!(
            loss.as_deref(),
            self.model.loss.map(LossKind::as_str),
            "seed {seed}"
        );
        self.read.extend(self.model.cursor);
    }
}

#[tokio::test]
async fn the_models_cursor_answers_as_postgres_does() {
    let world = World::builder().workers(0).start().await;
    let (mut base, mut agreed) = (1_000, [0, 0]);
    for _ in 0..size(500, 2_000) {
        let seed: u64 = rand::random();
        let mut script = Script::begin(&world, (seed, base)).await;
        for step in 0..STEPS {
            let (of_model, of_postgres) = script.step().await;
            assert_eq!(
                of_model, of_postgres,
                "seed {seed}, step {step}: {:?}",
                script.model
            );
            agreed[usize::from(of_model)] += 1;
            script.compare(seed).await;
        }
        base += 1_000;
    }
    println!("both refused {} operations and did {}", agreed[0], agreed[1]);
    assert!(agreed[0] > 100 && agreed[1] > 100, "{agreed:?}");
}
